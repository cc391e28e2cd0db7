import type { TelemetryRecord } from "../../actors/telemetry/record.ts";
import type { Logger } from "../log.ts";
import type { Documents } from "../stores/documents.ts";

/** Keeps the record of a request and says so in one log line. Records hold no text that anybody wrote. */
export const storeRecord =
	(documents: Documents, logger: Logger) =>
	async (record: TelemetryRecord): Promise<void> => {
		const {
			tenant,
			request_id,
			trace,
			feature,
			route,
			provider,
			model,
			status,
			error,
			ttft_ms,
			total_ms,
			usage,
			degradations,
		} = record;
		const place = { kind: "record", id: request_id };
		for (;;) {
			const stored = await documents.get(tenant, place.kind, place.id);
			const change = stored
				? ({ op: "replace", ...place, value: record, version: stored.version } as const)
				: ({ op: "insert", ...place, value: record } as const);
			if ((await documents.commit(tenant, [change])) === "done") break;
		}
		const tokens = {
			input: usage.input_tokens,
			output: usage.output_tokens,
			cost_micros: usage.cost_micros,
			attempts: usage.attempts.length,
		};
		const line = {
			request: request_id,
			tenant,
			trace: trace.split("-")[1],
			feature,
			route,
			provider,
			model,
			status,
			error,
			ttft_ms,
			total_ms,
			...tokens,
		};
		// Who runs the parts wants to know of those that do not work, whatever the client was told.
		if (status === "failed" || degradations.length > 0) logger.warn({ ...line, degradations }, "request ended");
		else logger.info(line, "request ended");
	};
