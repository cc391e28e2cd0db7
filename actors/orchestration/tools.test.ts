import { expect, test } from "vitest";
import { bundleOf, desk, taskRow } from "./testing/bundle.ts";
import { given } from "./testing/given.ts";
import { answers, asks, calls, callsFor, DEADLINE_AT, toolFails, toolSays } from "./testing/tellings.ts";

const bundle = bundleOf();
const order = asks("my order 7");

test("[O11] the model is offered what this caller may use on the route task", () => {
	const names = (telling: typeof order, under = bundle) =>
		given(under, telling)
			.says("inference.requested")
			.tools.map(({ name }) => name);
	expect(names(order)).toEqual(["look_up", "cancel_order"]);
	expect(names(asks("my order 7", []))).toEqual(["look_up"]);
	expect(names(asks("Good morning"), bundleOf({ ...desk, routes: { ...desk.routes, direct: taskRow } }))).toEqual([]);
	expect(names(order, bundleOf({ ...desk, models: { ...desk.models, tools: false } }))).toEqual([]);
});

test("[O4] [O11] tool calls get ids of their own, and carry who asks", () => {
	const call = {
		principal: "p",
		roles: ["agent"],
		feature: "desk",
		arguments: '{"order":"7"}',
		deadline_at: DEADLINE_AT,
	};
	given(bundle, order, calls("look_up", "cancel_order")).decides({
		audience: "tools",
		final: false,
		events: [
			{ type: "state.entered", data: { from: "inferring", to: "calling_tools" } },
			{
				type: "tool.requested",
				data: { ...call, tool_call_id: "call_9", side_effect_key: "call_9", name: "look_up", required: false },
			},
			{
				type: "tool.requested",
				data: { ...call, tool_call_id: "call_10", side_effect_key: "call_10", name: "cancel_order", required: true },
			},
		],
	});
});

test("[O5] [O11] a round has at most eight calls", () => {
	const { decision } = given(bundle, order, calls(...Array.from({ length: 12 }, () => "look_up")));
	expect(decision?.events.filter(({ type }) => type === "tool.requested")).toHaveLength(8);
});

test("[O11] a tool that is not on offer is not called", () => {
	expect(given(bundle, order, calls("refund", "look_up")).says("tool.requested").name).toBe("look_up");
	const end = given(bundle, order, calls("refund"));
	expect(end.says("request.error").message).toBe(
		'the model is expected to call tools on offer (look_up, cancel_order), it calls "refund"',
	);
	expect(end.says("message.completed")).toMatchObject({ status: "incomplete", finish_reason: "tool_calls" });
	const elsewhere = given(bundle, asks("Good morning"), calls("look_up"));
	expect(elsewhere.says("request.error").code).toBe("tool_failed");
});

test("[O11] the loop ends with the route's steps", () => {
	const end = given(
		bundle,
		order,
		calls("look_up"),
		toolSays(0, "shipped"),
		calls("look_up"),
		toolSays(1, "shipped"),
		calls("look_up"),
	);
	expect(end.says("request.error").message).toContain("within 3 model calls");
	expect(end.says("usage.completed").attempts).toHaveLength(3);
});

test("[O12] a round is over with its last answer, and its results stand in the order of the calls", () => {
	const round = [order, calls("look_up", "look_up"), toolSays(1, "second")] as const;
	given(bundle, ...round).decidesNothing();
	expect(
		given(bundle, ...round, toolSays(0, "first"))
			.says("inference.requested")
			.prompt.slice(2),
	).toEqual([
		{
			role: "assistant",
			content: "",
			tool_calls: [
				{ id: "call_9", name: "look_up", arguments: '{"order":"7"}' },
				{ id: "call_10", name: "look_up", arguments: '{"order":"7"}' },
			],
		},
		{ role: "tool", tool_call_id: "call_9", content: "first" },
		{ role: "tool", tool_call_id: "call_10", content: "second" },
	]);
});

test("[O12] a second answer to the same call changes nothing", () => {
	const round = [order, calls("look_up", "look_up"), toolSays(0, "first"), toolSays(0, "again")] as const;
	given(bundle, ...round).decidesNothing();
	const { prompt } = given(bundle, ...round, toolSays(1, "second")).says("inference.requested");
	expect(prompt.slice(-2).map(({ content }) => content)).toEqual(["first", "second"]);
});

test("[O13] a required tool that failed ends the request", () => {
	const end = given(bundle, order, calls("cancel_order", "look_up"), toolFails(1, "timeout"), toolFails(0, "timeout"));
	expect(end.says("degradation.applied")).toEqual({
		mode: "tool",
		from: "cancel_order",
		to: "no answer",
		user_notice: desk.notices.tool_down,
	});
	expect(end.says("request.error")).toMatchObject({ code: "tool_failed", message: "cancel_order: it said timeout" });
	expect(end.says("message.completed")).toMatchObject({ status: "incomplete", finish_reason: "degraded" });
});

test("[O13] [O20] an optional tool that failed is told to the client and to the model, once", () => {
	const asked = given(bundle, order, calls("look_up", "look_up"), toolFails(0, "timeout"), toolFails(1, "timeout"));
	expect(asked.says("degradation.applied")).toMatchObject({ from: "look_up", to: "an answer without it" });
	expect(asked.says("inference.requested").prompt.at(-1)).toMatchObject({
		role: "tool",
		content: "The tool failed: it said timeout",
	});
	const next = given(
		bundle,
		order,
		calls("look_up"),
		toolFails(0, "timeout"),
		calls("look_up"),
		toolSays(1, "shipped"),
	);
	expect(next.decision?.events.map(({ type }) => type)).toEqual(["state.entered", "inference.requested"]);
});

test("[O13] arguments that fit no schema go back to the model, even of a required tool", () => {
	const asked = given(bundle, order, calls("cancel_order"), toolFails(0, "invalid_arguments"));
	expect(asked.decision?.events.map(({ type }) => type)).toEqual(["state.entered", "inference.requested"]);
});

test("[O3] text of every model call is part of the answer", () => {
	const end = given(
		bundle,
		order,
		answers("Let me see. ", { finish_reason: "tool_calls", tool_calls: callsFor("look_up") }),
		toolSays(0, "shipped"),
		answers("It is shipped."),
	);
	expect(end.says("output_text.done").text).toBe("Let me see. It is shipped.");
});
