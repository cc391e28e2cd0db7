import { expect, test } from "vitest";
import { countTokens, exceedsTokens } from "./tokens.ts";

test("[O10] counts tokens of o200k_base", () => {
	expect(countTokens("hello world")).toBe(2);
	expect(countTokens("")).toBe(0);
});

test("[O10] a text made of one huge word is counted in bounded pieces, never too low", () => {
	// Undivided, this run takes quadratic time: half a second for 20,000 letters, minutes for 200,000.
	expect(countTokens("a".repeat(200_000))).toBeGreaterThanOrEqual(25_000);
	expect(countTokens(" ".repeat(200_000))).toBeGreaterThan(0);
});

test("[O10] a text exceeds its limit by one token, and not before", () => {
	const text = "word ".repeat(700).trimEnd();
	expect(exceedsTokens(text, 699)).toBe(true);
	expect(exceedsTokens(text, 700)).toBe(false);
});

test("[O10] over many strides the count is at most one token per stride too high", () => {
	const text = "word ".repeat(10_000).trimEnd();
	expect(exceedsTokens(text, 9_999)).toBe(true);
	expect(exceedsTokens(text, 10_000 + Math.ceil(text.length / 4_096))).toBe(false);
});
