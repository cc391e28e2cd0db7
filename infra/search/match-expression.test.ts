import { expect, test } from "vitest";
import { matchExpression } from "./match-expression.ts";

test("the words that carry the topic, quoted and OR-ed", () => {
	expect(matchExpression("What does the Fence check?")).toBe('"fence" OR "check"');
});

test("a joined name counts as a phrase besides its parts", () => {
	expect(matchExpression("who writes request.accepted")).toBe(
		'"writes" OR "request accepted" OR "request" OR "accepted"',
	);
});

test("query syntax is text", () => {
	expect(matchExpression('title:x NEAR(a b) -c* "d" ^e {f} AND')).not.toMatch(/[:(){}*^]/);
	expect(matchExpression("say \"hi\" OR '1'; DROP")).toBe('"say" OR "hi" OR "1" OR "drop"');
});

test("stop words stay when there is nothing else", () => {
	expect(matchExpression("to be or not to be")).toBe('"to" OR "be" OR "or" OR "not"');
});

test("no letter and no digit: nothing to match", () => {
	for (const text of ["", " ", '"', "?!", "🎉", "\u0000", "\ud800", "\u0301"])
		expect(matchExpression(text)).toBeUndefined();
});

test("a pasted page is cut to 64 terms", () => {
	const page = Array.from({ length: 500 }, (_, at) => `word${at}`).join(" ");
	expect(matchExpression(page)?.split(" OR ")).toHaveLength(64);
});
