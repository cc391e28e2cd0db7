import { expect, test } from "vitest";
import { hotSpots } from "./profile.ts";

const node = (id: number, functionName: string, url = "", children: number[] = []) => ({
	id,
	callFrame: { functionName, url, lineNumber: 4 },
	children,
});
const profile = {
	startTime: 100,
	nodes: [
		node(1, "(idle)"),
		node(2, "parse", "file:///home/somebody/node_modules/zod/v4/parse.js"),
		node(3, "", "file:///home/somebody/gateway/outbox.ts", [2, 4]),
		node(4, "", "file:///home/somebody/gateway/outbox.ts"),
	],
	samples: [2, 1, 3, 4, 2],
	timeDeltas: [0, 30, 50, 5, 5, 0],
};
const parse = "parse zod/v4/parse.js:5";
const outbox = "(anonymous) gateway/outbox.ts:5";

test("time is shared out over what was not idle: by itself, and with what was called", () => {
	expect(hotSpots(profile, [{ begin: 0, end: 1_000 }])).toEqual([
		{ name: parse, self: 0.75, total: 0.75 },
		{ name: outbox, self: 0.25, total: 1 },
	]);
});

test("only samples inside a span count", () => {
	expect(hotSpots(profile, [{ begin: 150, end: 185 }])).toEqual([{ name: outbox, self: 1, total: 1 }]);
});
