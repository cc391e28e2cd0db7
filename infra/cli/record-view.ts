import type { TelemetryRecord } from "../../actors/telemetry/record.ts";
import { withDocuments } from "./stores.ts";
import { duration, price, table } from "./terminal.ts";

/** The telemetry record of an ended request, from the data folder. */
export async function findRecord(tenant: string, request: string): Promise<TelemetryRecord | undefined> {
	return withDocuments(async (documents) => (await documents.get<TelemetryRecord>(tenant, "record", request))?.value);
}

/** One line per thing that is known; what was not there is shown as `-`. */
export function recordTable(record: TelemetryRecord): string {
	const { usage, retrieval } = record;
	const optional = (value: string | null) => value ?? "-";
	const time = (ms: number | null) => (ms === null ? "-" : duration(ms));
	const rows: [string, string][] = [
		["request", record.request_id],
		["tenant", record.tenant],
		["session", record.session_id],
		["trace", record.trace],
		["began", new Date(record.accepted_at).toISOString()],
		["status", record.status === record.finish_reason ? record.status : `${record.status} (${record.finish_reason})`],
		["error", optional(record.error)],
		["feature", record.feature],
		["configuration", record.config_sha.slice(0, 12)],
		["prompt version", optional(record.prompt_version)],
		["route", optional(record.route)],
		["model", record.model === null ? "-" : `${record.model} at ${record.provider}`],
		["first text after", time(record.ttft_ms)],
		["per token", time(record.tpot_ms)],
		["total", time(record.total_ms)],
		["input tokens", `${usage.input_tokens} (${usage.cached_tokens} cached)`],
		["output tokens", `${usage.output_tokens} (${usage.reasoning_tokens} reasoning)`],
		["cost", `${price(usage.cost_micros, usage.currency)}${usage.estimated ? " (estimated)" : ""}`],
		["attempts", `${usage.attempts.length} (${record.failed_attempts} failed, ${record.lost_attempts} lost)`],
		...(retrieval?.documents ?? []).map((chunk, at): [string, string] => [
			at === 0 ? "passages" : "",
			`${chunk}  score ${retrieval?.rerank_scores[at]?.toFixed(3) ?? "-"}`,
		]),
		...(retrieval ? [["retrieval took", duration(retrieval.took_ms)] satisfies [string, string]] : []),
		...record.tools.map(({ name, status, took_ms }): [string, string] => [
			"tool",
			`${name}: ${status} in ${duration(took_ms)}`,
		]),
		...record.degradations.map((text): [string, string] => ["degraded", text]),
		["log", `${record.entries} entries`],
	];
	return table(rows);
}
