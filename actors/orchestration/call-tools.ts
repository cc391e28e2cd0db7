import type { EventDraft } from "../../schemas/events/all.ts";
import type { ToolCall } from "../../schemas/events/inference.ts";
import type { ToolDeclaration } from "../../schemas/feature.ts";
import type { Decision } from "../actor.ts";
import { end, standing } from "./end.ts";
import type { Serving } from "./serving.ts";
import type { In, Routed } from "./state.ts";

/** Tools that one entry may ask for (L2). */
const MAX_PARALLEL_TOOLS = 8;

/** The tools that this caller may use on this route; the loop exists on `task` only, from two model calls on. */
export function toolsOnOffer(serving: Serving, { route, loaded }: Routed): readonly ToolDeclaration[] {
	const { bundle, feature, row } = serving;
	if (route !== "task" || row.steps < 2 || !feature.models.tools) return [];
	return row.tools.flatMap(({ name }) => {
		const tool = bundle.tools.find((candidate) => candidate.name === name);
		return tool && mayUse(tool, feature.name, loaded.accepted.roles) ? [tool] : [];
	});
}

/** May a caller with these roles use the tool in this feature? */
const mayUse = (tool: ToolDeclaration, feature: string, roles: readonly string[]): boolean =>
	(tool.roles.length === 0 || tool.roles.some((role) => roles.includes(role))) &&
	(tool.features.length === 0 || tool.features.includes(feature));

/** The model asks for tools: those on offer are called, as long as another model call may follow. */
export function callTools(serving: Serving, state: In<"validating">, seq: number): Decision {
	const { row } = serving;
	const offered = new Set(toolsOnOffer(serving, state).map(({ name }) => name));
	const calls = state.answer.tool_calls.filter(({ name }) => offered.has(name)).slice(0, MAX_PARALLEL_TOOLS);
	const another = state.steps.length + 1 < row.steps;
	if (calls.length > 0 && another) return asking(serving, state, calls, seq);

	const names = state.answer.tool_calls.map(({ name }) => `"${name}"`).join(", ") || "none";
	const message =
		calls.length > 0
			? `the answer is expected within ${row.steps} model calls on route "${state.route}", the last one asks for more tools: ${names}`
			: `the model is expected to call tools on offer (${[...offered].join(", ") || "none"}), it calls ${names}`;
	const words = serving.feature.notices.tool_down;
	const error = { code: "tool_failed" as const, message };
	return end({ ...standing(state), status: "incomplete", finish: "tool_calls", words, error }, seq);
}

function asking({ row }: Serving, state: In<"validating">, calls: readonly ToolCall[], seq: number): Decision {
	const { principal, roles, feature, deadline_at } = state.loaded.accepted;
	const requested = calls.map(({ name, arguments: text }, at): EventDraft => {
		// A model's own ids may repeat; the event's number does not. `state.entered` stands before the first call.
		const id = `call_${seq + 1 + at}`;
		return {
			type: "tool.requested",
			data: {
				tool_call_id: id,
				name,
				arguments: text,
				principal,
				roles,
				feature,
				required: row.tools.some((tool) => tool.name === name && tool.required),
				side_effect_key: id,
				deadline_at,
			},
		};
	});
	const entered: EventDraft = { type: "state.entered", data: { from: "inferring", to: "calling_tools" } };
	return { audience: "tools", final: false, events: [entered, ...requested] };
}
