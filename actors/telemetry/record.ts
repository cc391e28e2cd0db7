import { type Entry, isEnd } from "../../schemas/entry.ts";
import type { DataOf, EventType } from "../../schemas/events/all.ts";
import type { Trace, Usage } from "../../schemas/events/output.ts";

/** What is known of a request after its end, in every outcome (§9). Holds no text that anybody wrote. */
export type TelemetryRecord = Trace & {
	request_id: string;
	tenant: string;
	session_id: string;
	/** W3C `traceparent`. */
	trace: string;
	/** Of the last attempt; null when no model was asked. */
	provider: string | null;
	model: string | null;
	status: string;
	finish_reason: string;
	error: string | null;
	/** Milliseconds from admission to the first text of a model; null when there was none. */
	ttft_ms: number | null;
	/** Milliseconds per output token after the first; null for answers of one token. */
	tpot_ms: number | null;
	total_ms: number;
	usage: Usage;
	/** Attempts of processes that died, and of providers that failed. */
	lost_attempts: number;
	failed_attempts: number;
	entries: number;
};

/** The record that the end of a request gives; nothing for an entry that is no end. `trace` stands in for one that the end does not have. */
export function recordOf(end: Entry, trace: Trace | undefined): TelemetryRecord | undefined {
	const find = <T extends EventType>(type: T): DataOf<T> | undefined => {
		const data: unknown = end.events.find((event) => event.type === type)?.data;
		return data as DataOf<T> | undefined;
	};
	const known = find("trace.recorded") ?? trace;
	const usage = find("usage.completed");
	const completed = find("message.completed");
	if (!isEnd(end) || !known || !usage || !completed) return undefined;
	const { accepted_at, first_text_at, last_text_at } = known;
	const answering = usage.attempts.at(-1);
	const spread =
		first_text_at !== null && last_text_at !== null && usage.output_tokens > 1
			? last_text_at - first_text_at
			: undefined;
	return {
		...known,
		request_id: end.request,
		tenant: end.tenant,
		session_id: end.session,
		trace: end.trace,
		provider: answering?.provider ?? null,
		model: answering?.model ?? null,
		status: completed.status,
		finish_reason: completed.finish_reason,
		error: find("request.error")?.code ?? null,
		ttft_ms: first_text_at === null ? null : first_text_at - accepted_at,
		tpot_ms: spread === undefined ? null : spread / (usage.output_tokens - 1),
		total_ms: end.at - accepted_at,
		usage,
		lost_attempts: usage.attempts.filter(({ outcome }) => outcome === "lost").length,
		failed_attempts: usage.attempts.filter(({ outcome }) => outcome === "failed").length,
		entries: end.index,
	};
}

/** The trace of a request that ended before its session was loaded: what its first entry says. */
export function unloadedTrace(first: Entry | undefined): Trace | undefined {
	const accepted = first?.events.find((event) => event.type === "request.accepted");
	if (!first || accepted?.type !== "request.accepted") return undefined;
	const { feature, config_sha } = accepted.data;
	const nothing = {
		route: null,
		prompt_version: null,
		retrieval: null,
		tools: [],
		degradations: [],
		first_text_at: null,
		last_text_at: null,
	};
	return { feature, config_sha, ...nothing, accepted_at: first.at };
}
