import { expect, test } from "vitest";
import { clip, duration, price, printable, table } from "./terminal.ts";

test("text of others cannot steer the terminal; line ends and tabs stay", () => {
	expect(printable("a\u001b]52;c;eA==\u0007b\r\u009bc\u007f\n\tdé日")).toBe("a]52;c;eA==bc\n\tdé日");
});

test("a clip is one line and never ends in half a character", () => {
	expect(clip("  two\n lines ", 20)).toBe("two lines");
	expect(clip("abc😀def", 5)).toBe("abc…");
});

test("durations and prices have the digits that tell something", () => {
	expect([0.4, 999, 1_250, 185_000].map(duration)).toEqual(["0 ms", "999 ms", "1.25 s", "3 min 5 s"]);
	expect([0, 1_230, 1_500_000, 12].map((micros) => price(micros, "USD"))).toEqual([
		"$0.00",
		"$0.00123",
		"$1.50",
		"$0.000012",
	]);
});

test("a table's columns are as wide as their widest cell", () => {
	expect(
		table([
			["a", "bb", "c"],
			["aaa", "b", ""],
		]),
	).toBe("a    bb  c\naaa  b\n");
});
