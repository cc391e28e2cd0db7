import { type Entry, isEnd } from "../../schemas/entry.ts";
import type { DataOf, EventType } from "../../schemas/events/all.ts";
import type { Usage } from "../../schemas/events/output.ts";

/** What is known of a request after its end, in every outcome (§9). Holds no text that anybody wrote. */
export type TelemetryRecord = {
	request_id: string;
	tenant: string;
	session_id: string;
	trace: string;
	at: number;
	feature: string;
	config_sha: string;
	prompt_version: string | null;
	route: string | null;
	provider: string | null;
	model: string | null;
	status: string;
	finish_reason: string;
	error: string | null;
	retrieval: { documents: string[]; rerank_scores: number[]; took_ms: number } | null;
	tool_calls: { name: string; status: string; took_ms: number }[];
	degradations: string[];
	/** Milliseconds from admission to the first visible delta in the log; null when there was none. */
	ttft_ms: number | null;
	/** Milliseconds per output token after the first delta; null for answers of one delta. */
	tpot_ms: number | null;
	total_ms: number;
	usage: Usage;
	/** Attempts of processes that died, and of providers that failed. */
	lost_attempts: number;
	failed_attempts: number;
	entries: number;
};

/** Folds the whole log of an ended request; nothing as long as it has no end or its beginning is gone. */
export function recordOf(entries: readonly Entry[]): TelemetryRecord | undefined {
	const first = entries[0];
	const last = entries.at(-1);
	if (!first || !last || first.index !== 1 || !isEnd(last)) return undefined;
	const events = entries.flatMap((entry) => entry.events);
	const find = <T extends EventType>(type: T): DataOf<T> | undefined => {
		const data: unknown = events.find((event) => event.type === type)?.data;
		return data as DataOf<T> | undefined;
	};
	const accepted = find("request.accepted");
	const usage = find("usage.completed");
	const end = find("message.completed");
	if (!accepted || !usage || !end) return undefined;
	const retrieved = find("retrieval.completed");
	const deltas = entries.filter((entry) => entry.events.some(({ type }) => type === "output_text.delta"));
	const [firstDelta, lastDelta] = [deltas[0], deltas.at(-1)];
	const answering = usage.attempts.at(-1);
	const spread = firstDelta && lastDelta && deltas.length > 1 ? lastDelta.at - firstDelta.at : undefined;
	return {
		request_id: first.request,
		tenant: first.tenant,
		session_id: first.session,
		trace: first.trace,
		at: first.at,
		feature: accepted.feature,
		config_sha: accepted.config_sha,
		prompt_version: find("inference.requested")?.prompt_version ?? null,
		route: find("route.decided")?.route ?? null,
		provider: answering?.provider ?? null,
		model: answering?.model ?? null,
		status: end.status,
		finish_reason: end.finish_reason,
		error: find("request.error")?.code ?? null,
		retrieval: retrieved
			? {
					documents: retrieved.documents.map(({ chunk_id }) => chunk_id),
					rerank_scores: retrieved.documents.map(({ rerank_score }) => rerank_score),
					took_ms: retrieved.took_ms,
				}
			: null,
		tool_calls: events.flatMap((event) => {
			if (event.type === "tool.completed")
				return [{ name: event.data.name, status: "ok", took_ms: event.data.took_ms }];
			if (event.type === "tool.failed")
				return [{ name: event.data.name, status: event.data.code, took_ms: event.data.took_ms }];
			return [];
		}),
		degradations: events.flatMap((event) =>
			event.type === "degradation.applied" ? [`${event.data.mode}: ${event.data.from} → ${event.data.to}`] : [],
		),
		ttft_ms: firstDelta ? firstDelta.at - first.at : null,
		tpot_ms: spread !== undefined && usage.output_tokens > 1 ? spread / (usage.output_tokens - 1) : null,
		total_ms: last.at - first.at,
		usage,
		lost_attempts: usage.attempts.filter(({ outcome }) => outcome === "lost").length,
		failed_attempts: usage.attempts.filter(({ outcome }) => outcome === "failed").length,
		entries: entries.length,
	};
}
