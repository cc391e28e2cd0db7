import { expect, test } from "vitest";
import { rewrite } from "./rewrite.ts";

test.each([
	["Hi, could you please tell me how long results are kept?", "how long results are kept?"],
	["Please explain to me what the fence checks, thanks!", "what the fence checks"],
	["I'd like to know about refunds", "refunds"],
	["how  are\nrefunds   paid?", "how are refunds paid?"],
	["Who writes request.accepted?", "Who writes request.accepted?"],
])("politeness goes, the question stays: %s", (query, expected) => {
	expect(rewrite(query, [])).toEqual([expected]);
});

test("a follow-up gets the content words of the turn before", () => {
	expect(rewrite("and how long does it last?", ["What does the travel insurance cover?"])).toEqual([
		"and how long does it last? travel insurance cover",
	]);
});

test("a chain of follow-ups goes back to the turn that has a topic", () => {
	const history = ["Tell me about the Atlas warranty", "how long does it last?", "and in Norway?"];
	expect(rewrite("why?", history)).toEqual(["why? atlas warranty last norway"]);
});

test("a question that stands for itself borrows nothing", () => {
	const history = ["What is the weather like?"];
	expect(rewrite("How long are results kept?", history)).toEqual(["How long are results kept?"]);
	expect(rewrite("Does the gateway check that tokens of tenants match?", history)).toHaveLength(1);
	expect(rewrite("Does the gateway check that tokens of tenants match?", history)[0]).not.toContain("weather");
});

test("a follow-up to nothing stays as it is, a word is borrowed once and not twice", () => {
	expect(rewrite("what about it?", [])).toEqual(["what about it?"]);
	expect(rewrite("and its warranty?", ["Does the warranty of the Atlas warranty plan end?"])).toEqual([
		"and its warranty? atlas plan end",
	]);
});

test("a long earlier turn lends eight words at most", () => {
	const long = Array.from({ length: 50 }, (_, at) => `topic${at}`).join(" ");
	expect(rewrite("why is that?", [long])[0]?.split(" ")).toHaveLength(3 + 8);
});

test("several questions are searched as one and each", () => {
	expect(rewrite("What does the fence check? How long are results kept?", [])).toEqual([
		"What does the fence check? How long are results kept?",
		"What does the fence check?",
		"How long are results kept?",
	]);
});

test("nothing to search for gives no rewrite; filler alone stays", () => {
	expect(rewrite("", ["Tell me about refunds"])).toEqual([]);
	expect(rewrite(" ?! … ", [])).toEqual([]);
	expect(rewrite("thanks", [])).toEqual(["thanks"]);
});
