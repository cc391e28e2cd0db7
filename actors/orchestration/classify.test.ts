import { expect, test } from "vitest";
import { classify } from "./classify.ts";
import { desk } from "./testing/bundle.ts";

test("[O6] the best score wins when it leads by the margin", () => {
	expect(classify(desk, "What does the POLICY say?")).toEqual({
		route: "grounded",
		reason: "rules",
		scores: { grounded: 2 },
		margin: 2,
	});
});

test("[O6] a lead below the margin takes the fallback", () => {
	expect(classify(desk, "the policy on my order")).toEqual({
		route: "direct",
		reason: "margin 0 is below 1",
		scores: { grounded: 2, task: 2 },
		margin: 0,
	});
});

test("[O6] an input that no rule matches takes the fallback", () => {
	expect(classify(desk, "Good morning")).toMatchObject({ route: "direct", reason: "no rule matched" });
});

test("[O6] rules of one route add up", () => {
	const rules = [
		{ route: "task" as const, pattern: "cancel", weight: 1 },
		{ route: "task" as const, pattern: "order", weight: 1 },
		{ route: "refuse" as const, pattern: "cancel", weight: 1 },
	];
	const classification = { ...desk.classification, rules };
	expect(classify({ classification }, "cancel my order").route).toBe("task");
	expect(classify({ classification }, "cancel it").route).toBe("direct");
});
