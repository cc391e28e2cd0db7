import { expect, test } from "vitest";
import { selfTimes } from "./profile.ts";

const node = (id: number, functionName: string, url = "") => ({
	id,
	callFrame: { functionName, url, lineNumber: 4 },
});
const profile = {
	startTime: 100,
	nodes: [
		node(1, "(idle)"),
		node(2, "work", "file:///home/somebody/node_modules/zod/v4/parse.js"),
		node(3, "", "file:///home/somebody/gateway/outbox.ts"),
	],
	samples: [2, 1, 3, 2],
	timeDeltas: [0, 30, 50, 10, 0],
};

test("self time is shared out over the time that was not idle", () => {
	expect(selfTimes(profile, [{ begin: 0, end: 1_000 }])).toEqual([
		{ name: "work zod/v4/parse.js:5", share: 0.75 },
		{ name: "(anonymous) gateway/outbox.ts:5", share: 0.25 },
	]);
});

test("only samples inside a span count", () => {
	expect(selfTimes(profile, [{ begin: 150, end: 185 }])).toEqual([
		{ name: "(anonymous) gateway/outbox.ts:5", share: 1 },
	]);
});
