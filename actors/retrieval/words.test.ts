import { expect, test } from "vitest";
import { contentWords, stem, words } from "./words.ts";

test("words are lower case runs of letters and digits without diacritics, in any script", () => {
	expect(words("Crème brûlée: 2× request.accepted, ΑΘΗΝΑ")).toEqual([
		"creme",
		"brulee",
		"2",
		"request",
		"accepted",
		"αθηνα",
	]);
	expect(words("\u0000 \ud800 🎉 …")).toEqual([]);
});

test("content words leave what only asks", () => {
	expect(contentWords("How long are results kept?")).toEqual(["results", "kept"]);
	expect(contentWords("What happens when the retrieval engine is down?")).toEqual(["retrieval", "engine", "down"]);
	expect(contentWords("and why is that?")).toEqual([]);
});

test.each([
	["retry retries retried retrying", "retry"],
	["write writes writing", "writ"],
	["plan plans planned planning", "plan"],
	["refund refunds refunded", "refund"],
	["match matches matching", "match"],
])("forms of one word have one stem: %s", (forms, expected) => {
	expect(new Set(forms.split(" ").map(stem))).toEqual(new Set([expected]));
});

test("words that only look like forms stay", () => {
	expect(["string", "bus", "class", "l7", "status", "red"].map(stem)).toEqual([
		"string",
		"bus",
		"class",
		"l7",
		"status",
		"red",
	]);
});
