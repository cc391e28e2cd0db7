import type { Decision } from "../actor.ts";
import { end, standing } from "./end.ts";
import type { In } from "./state.ts";

/** Asks for the documents of a request to be read in; `message.started` stands before it. */
export function askIngestion(state: In<"classifying">, seq: number): Decision {
	const { documents = [], deadline_at } = state.loaded.accepted;
	if (documents.length === 0) {
		const message = 'a request on route "ingest" is expected to carry documents, got none';
		return end(
			{
				...standing(state),
				started: true,
				status: "failed",
				finish: "error",
				words: message,
				error: { code: "ingest_failed", message },
			},
			seq,
		);
	}
	return {
		audience: "retrieval",
		final: false,
		events: [
			{ type: "state.entered", data: { from: "accepted", to: "retrieving" } },
			{
				type: "ingest.requested",
				data: { documents: documents.map(({ type: _, ...document }) => document), deadline_at },
			},
		],
	};
}

/** What came of the documents, in plain words. */
export function concludeIngestion(notice: string | undefined, state: In<"ingested">, seq: number): Decision {
	const { result } = state;
	const base = { ...standing(state), finish: "error" as const };
	if ("failure" in result) {
		const message = "the documents cannot be taken in now; try again in a little while";
		const error = { code: "evidence_unavailable" as const, message };
		return end({ ...base, status: "failed", words: notice ?? message, error }, seq);
	}
	const { documents } = result;
	const failures = documents.filter(({ outcome }) => outcome === "failed");
	const words = documents
		.map(({ name, outcome, chunks, problem }) =>
			outcome === "failed" ? `${name} could not be read: ${problem}` : `${name}: ${outcome}, ${chunks} passages`,
		)
		.join("\n");
	if (failures.length === 0) return end({ ...base, status: "completed", finish: "stop", words }, seq);
	const message = failures.map(({ name, problem }) => `${name}: ${problem}`).join("; ");
	const status = failures.length === documents.length ? "failed" : "incomplete";
	return end({ ...base, status, words, error: { code: "ingest_failed", message } }, seq);
}
