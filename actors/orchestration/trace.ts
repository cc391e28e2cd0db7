import type { Entry } from "../../schemas/entry.ts";
import type { AnyEvent, DataOf } from "../../schemas/events/all.ts";
import type { Trace } from "../../schemas/events/output.ts";

/** The trace of a request that has just been loaded. */
export const begun = ({ accepted }: DataOf<"session.loaded">): Trace => ({
	feature: accepted.feature,
	config_sha: accepted.config_sha,
	route: null,
	prompt_version: null,
	retrieval: null,
	tools: [],
	degradations: [],
	accepted_at: accepted.accepted_at,
	first_text_at: null,
	last_text_at: null,
});

/** What an event adds to the trace of its request. */
export function traced(trace: Trace, event: AnyEvent, { at }: Pick<Entry, "at">): Trace {
	switch (event.type) {
		case "route.decided":
			return { ...trace, route: event.data.route };
		case "inference.requested":
			return { ...trace, prompt_version: event.data.prompt_version };
		case "retrieval.completed": {
			const { documents, took_ms } = event.data;
			const rerank_scores = documents.map(({ rerank_score }) => rerank_score);
			return { ...trace, retrieval: { documents: documents.map(({ chunk_id }) => chunk_id), rerank_scores, took_ms } };
		}
		case "tool.completed":
			return {
				...trace,
				tools: [...trace.tools, { name: event.data.name, status: "ok", took_ms: event.data.took_ms }],
			};
		case "tool.failed":
			return {
				...trace,
				tools: [...trace.tools, { name: event.data.name, status: event.data.code, took_ms: event.data.took_ms }],
			};
		case "inference.attempt_ended": {
			const { first_text_at } = event.data;
			return first_text_at === null
				? trace
				: { ...trace, first_text_at: trace.first_text_at ?? first_text_at, last_text_at: at };
		}
		case "degradation.applied":
			return degraded(trace, event.data);
		default:
			return trace;
	}
}

export function degraded(trace: Trace, { mode, from, to }: DataOf<"degradation.applied">): Trace {
	const what = `${mode}: ${from} → ${to}`;
	return trace.degradations.includes(what) ? trace : { ...trace, degradations: [...trace.degradations, what] };
}
