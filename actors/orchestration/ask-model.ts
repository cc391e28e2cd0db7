import type { EventDraft } from "../../schemas/events/all.ts";
import type { Decision } from "../actor.ts";
import { assemble } from "./assemble.ts";
import { toolsOnOffer } from "./call-tools.ts";
import { brokenStatus, end, standing } from "./end.ts";
import { usableEvidence } from "./evidence.ts";
import type { Serving } from "./serving.ts";
import type { In, ToolFailure } from "./state.ts";

type Assembling = In<"assembling">;

/** All that the model needs is there, or will not come: degrade as declared, then ask the model. */
export function askModel(serving: Serving, state: Assembling, seq: number): Decision {
	const { feature, row } = serving;
	const down = failedTools(serving, state);
	const needed = down.find(({ required }) => required);
	if (needed) return endWithoutTool(serving, state, needed, seq);

	const usable = usableEvidence(row, state.found);
	const assembled = assemble(feature, toolsOnOffer(serving, state), state.loaded, usable, state.steps);
	if ("tooLong" in assembled) {
		const error = { code: "context_too_long" as const, message: assembled.tooLong };
		const stood = standing(state);
		const words = assembled.tooLong;
		return end({ ...stood, status: brokenStatus(stood), finish: "error", words, error }, seq);
	}
	const { max_output_tokens, ...prompt } = assembled;
	const unread = row.evidence !== "none" && (prompt.dropped.evidence ?? 0) === usable.length;
	if (unread && row.evidence === "required") return endWithoutEvidence(serving, state, usable.length, seq);

	const notices = down.map(({ degradation }): EventDraft => ({ type: "degradation.applied", data: degradation }));
	if (unread && state.steps.length === 0) {
		const user_notice = feature.notices.without_documents;
		notices.push({
			type: "degradation.applied",
			data: { mode: "retrieval", from: "documents", to: "an answer without them", user_notice },
		});
	}
	const stale = (state.found?.documents.length ?? 0) - usable.length;
	return {
		audience: "inference",
		final: false,
		events: [
			...notices,
			{ type: "state.entered", data: { from: state.from, to: "inferring" } },
			{
				type: "inference.requested",
				data: {
					...prompt,
					dropped: { ...prompt.dropped, stale },
					prompt_version: feature.prompt_version,
					chain: feature.models.links,
					budget: { attempts: feature.attempts, deadline_at: state.loaded.accepted.deadline_at, max_output_tokens },
					fallback_notice: feature.notices.model_fallback,
				},
			},
		],
	};
}

type Down = ReturnType<typeof failedTools>[number];

/** Tools of the last round that did not work. Arguments that fit no schema are the model's own fault: it is told, and may repair them. */
function failedTools({ feature, row }: Serving, { from, steps }: Assembling) {
	const last = from === "calling_tools" ? steps.at(-1) : undefined;
	const failures = new Map<string, ToolFailure>();
	for (const { id, name } of last?.calls ?? []) {
		const result = last?.results[id];
		if (result && !result.ok && result.code !== "invalid_arguments") failures.set(name, result);
	}
	return [...failures].map(([name, { message }]) => {
		const required = row.tools.some((tool) => tool.name === name && tool.required);
		const to = required ? "no answer" : "an answer without it";
		const degradation = { mode: "tool" as const, from: name, to, user_notice: feature.notices.tool_down };
		return { required, degradation, problem: `${name}: ${message}` };
	});
}

function endWithoutTool(
	{ feature }: Serving,
	state: Assembling,
	{ degradation, problem }: Down,
	seq: number,
): Decision {
	const words = feature.notices.tool_down;
	const error = { code: "tool_failed" as const, message: problem };
	return end({ ...standing(state), status: "incomplete", finish: "degraded", words, degradation, error }, seq);
}

/** Required evidence cannot be had: a plain explanation instead of a model call. */
function endWithoutEvidence({ feature }: Serving, state: Assembling, usable: number, seq: number): Decision {
	const { failure, documents } = state.found ?? { failure: undefined, documents: [] };
	const words = failure ? feature.notices.retrieval_down : feature.notices.no_evidence;
	const degradation = { mode: "retrieval" as const, from: "documents", to: "no answer", user_notice: words };
	const why =
		usable > 0
			? "no passage found fits the context"
			: documents.length > 0
				? "every passage found is older than the route allows"
				: "no passage scores high enough to answer from";
	const error = failure
		? {
				code: "evidence_unavailable" as const,
				message: "the documents cannot be searched now; try again in a little while",
			}
		: { code: "evidence_missing" as const, message: why };
	return end({ ...standing(state), status: "incomplete", finish: "degraded", words, degradation, error }, seq);
}
