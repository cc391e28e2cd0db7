import { describe, expect, test } from "vitest";
import { percentile, percentiles, spread, windows } from "./statistics.ts";

const upTo = (n: number) => Array.from({ length: n }, (_, at) => n - at);

describe("percentile", () => {
	test("is the nearest rank, whatever the order", () => {
		expect(percentile(upTo(100), 0.5)).toBe(50);
		expect(percentile(upTo(100), 0.99)).toBe(99);
		expect(percentile([5, 1, 3], 0.5)).toBe(3);
	});
	test("is the first value at 0 and the last at 1", () => {
		expect(percentile(upTo(10), 0)).toBe(1);
		expect(percentile(upTo(10), 1)).toBe(10);
	});
	test("sorts numbers as numbers and leaves its input as it is", () => {
		const values = [10, 9, 100];
		expect(percentile(values, 1)).toBe(100);
		expect(values).toEqual([10, 9, 100]);
	});
	test("refuses an empty list", () => {
		expect(() => percentile([], 0.5)).toThrow("got none");
	});
});

test("percentiles name their count and the largest", () => {
	expect(percentiles(upTo(1_000))).toEqual({ count: 1_000, p50: 500, p95: 950, p99: 990, max: 1_000 });
});

describe("spread", () => {
	test("is the middle one of an odd number", () => {
		expect(spread([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 });
	});
	test("is the mean of the middle two of an even number", () => {
		expect(spread([4, 1, 2, 10])).toEqual({ median: 3, min: 1, max: 10 });
	});
	test("of one value is that value", () => {
		expect(spread([7])).toEqual({ median: 7, min: 7, max: 7 });
	});
});

describe("windows", () => {
	test("cut by time, half open", () => {
		expect(windows([0, 999, 1_000, 2_500], (at) => at, 3, 1_000)).toEqual([[0, 999], [1_000], [2_500]]);
	});
	test("leave out what lies before or behind", () => {
		expect(windows([-0.5, 3_000, 10], (at) => at, 3, 1_000)).toEqual([[10], [], []]);
	});
});
