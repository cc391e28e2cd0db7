import type { TelemetryRecord } from "../../actors/telemetry/record.ts";
import type { Logger } from "../log.ts";
import type { Documents } from "../stores/documents.ts";
import { put } from "../stores/put.ts";

/** Keeps the record of a request and says so in one log line. Records hold no text that anybody wrote. */
export const storeRecord =
	(documents: Documents, logger: Logger) =>
	async (record: TelemetryRecord): Promise<void> => {
		const { tenant, request_id, status, degradations, usage } = record;
		await put(documents, tenant, "record", request_id, record);
		const line = {
			request: request_id,
			tenant,
			trace: record.trace.split("-")[1],
			feature: record.feature,
			route: record.route,
			model: record.model,
			status,
			error: record.error,
			ttft_ms: record.ttft_ms,
			total_ms: record.total_ms,
			input: usage.input_tokens,
			output: usage.output_tokens,
			cost_micros: usage.cost_micros,
			attempts: usage.attempts.length,
		};
		// Who runs the parts wants to know of those that do not work, whatever the client was told.
		if (status === "failed" || degradations.length > 0) logger.warn({ ...line, degradations }, "request ended");
		else logger.info(line, "request ended");
	};
