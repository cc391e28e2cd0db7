import { expect, test } from "vitest";
import { passage } from "./testing/tellings.ts";
import { validate } from "./validate.ts";

const hours = passage(1, "The desk is open from nine to five on weekdays.");
const citations = (required: boolean) => ({ kind: "citations" as const, required });
const passes = (...[rules, text, documents]: Parameters<typeof validate>) =>
	validate(rules, text, documents).checks.every(({ passed }) => passed);

test("[O18] an empty answer, and one of spaces, are none", () => {
	expect(passes([{ kind: "not_empty" }], "", [])).toBe(false);
	expect(passes([{ kind: "not_empty" }], " \n", [])).toBe(false);
	expect(passes([{ kind: "not_empty" }], "Yes.", [])).toBe(true);
});

test("[O18] the length holds up to its limit", () => {
	expect(passes([{ kind: "length", max_characters: 4 }], "four", [])).toBe(true);
	expect(passes([{ kind: "length", max_characters: 4 }], "fives", [])).toBe(false);
});

test("[O18] a mark that names no passage fails, whether marks are required or not", () => {
	expect(validate([citations(false)], "Nine to five [1][7].", [hours]).checks).toEqual([
		{ validator: "citations", passed: false, detail: "marks 7 name no passage out of 1" },
	]);
});

test("[O18] an answer from evidence carries a mark where that is required", () => {
	expect(passes([citations(true)], "Nine to five.", [hours])).toBe(false);
	expect(passes([citations(false)], "Nine to five.", [hours])).toBe(true);
	expect(passes([citations(true)], "Nine to five.", [])).toBe(true);
});

test("without evidence a number in brackets is a number in brackets", () => {
	expect(validate([citations(true)], "See section [3].", [])).toMatchObject({
		checks: [{ passed: true }],
		citations: [],
	});
});

test("[O9] each passage is cited once, with the sentence that carries its mark, and says whether the words stand there", () => {
	const text = "Good question. The desk is open from nine to five on weekdays [1]. Cats are never open [1] [2].";
	const cited = validate([], text, [hours, passage(2, "Dogs bark.")]).citations.map(({ data }) => data);
	expect(cited).toEqual([
		expect.objectContaining({ n: 1, quote: "The desk is open from nine to five on weekdays", verified: true }),
		expect.objectContaining({ n: 2, quote: "Cats are never open", verified: false }),
	]);
});
