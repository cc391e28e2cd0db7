import { expect, test } from "vitest";
import { type Ending, end } from "./end.ts";
import { row } from "./testing/tellings.ts";
import { usageOf } from "./usage.ts";

const ending: Ending = {
	from: "inferring",
	status: "incomplete",
	finish: "error",
	said: "Good",
	attempts: [],
	started: true,
	trace: undefined,
};
const textOf = (how: Partial<Ending>) =>
	end({ ...ending, ...how }, 9).events.flatMap((event) => (event.type === "output_text.done" ? [event.data.text] : []));
const hashOf = (how: Partial<Ending>) => {
	const last = end({ ...ending, ...how }, 9).events.at(-1);
	return last?.type === "message.completed" ? last.data.text_sha256 : undefined;
};

test("[O3] our own words stand behind the model's, or alone where those are withdrawn", () => {
	expect(textOf({ words: "It breaks off." })).toEqual(["Good\n\nIt breaks off."]);
	expect(textOf({ words: "It is withdrawn.", retract: { from_seq: 7, reason: "r" } })).toEqual(["It is withdrawn."]);
	expect(textOf({ said: "", words: "None." })).toEqual(["None."]);
	expect(textOf({ said: "" })).toEqual([]);
});

test("[O15] a text that nobody knows has no hash, an empty one has", () => {
	expect(hashOf({ said: null })).toBeNull();
	expect(hashOf({ said: "" })).toMatch(/^e3b0c442/);
});

test("[O3] final_seq is the number of the last event, whatever stands before it", () => {
	for (const how of [{}, { started: false }, { words: "w", error: { code: "internal" as const, message: "m" } }]) {
		const { events } = end({ ...ending, ...how }, 9);
		expect(events.at(-1)).toMatchObject({ type: "message.completed", data: { final_seq: 9 + events.length - 1 } });
		expect(events.at(-2)).toMatchObject({ type: "usage.completed" });
	}
});

test("[O19] token classes are disjoint in attempts, and contained in one another in usage", () => {
	expect(usageOf([row(), row({ attempt: 1, estimated: true })], true)).toMatchObject({
		input_tokens: 230,
		output_tokens: 44,
		cached_tokens: 20,
		reasoning_tokens: 4,
		cost_micros: 800,
		attempts: [{ attempt: 1 }, { attempt: 2 }],
		estimated: true,
		partial: true,
	});
});
