import { z } from "zod";
import { event } from "../event.ts";
import { open, personal } from "../privacy.ts";

export const retrievalRequested = event(
	"retrieval.requested",
	z.strictObject({
		query: personal(z.string()),
		/** Earlier turns of the user, oldest first: what a follow-up question refers to. */
		history: personal(z.array(z.string())),
		labels: open(z.array(z.string())),
		budget_tokens: open(z.int().positive()),
		/** Passages that score below are not evidence. */
		min_score: open(z.number()),
		/** Milliseconds since the epoch. */
		deadline_at: open(z.int()),
	}),
);

export const retrievalStarted = event("retrieval.started", z.strictObject({ rewrites: personal(z.array(z.string())) }));

const evidence = z.strictObject({
	/** Citation number, from 1, stable for the whole request. */
	n: open(z.int()),
	document_id: open(z.string()),
	chunk_id: open(z.string()),
	title: personal(z.string()),
	text: personal(z.string()),
	tokens: open(z.int()),
	/** Rank per list, from 1; absent where the list did not return the chunk. */
	ranks: open(z.record(z.string(), z.int())),
	rerank_score: open(z.number()),
	/** When the document was ingested, in milliseconds since the epoch. */
	ingested_at: open(z.int()),
});
export type Evidence = z.infer<typeof evidence>;

export const retrievalCompleted = event(
	"retrieval.completed",
	z.strictObject({
		rewrites: personal(z.array(z.string())),
		documents: z.array(evidence),
		/** Candidates that were found and not packed, with the reason. */
		dropped: open(z.array(z.strictObject({ chunk_id: z.string(), reason: z.string(), rerank_score: z.number() }))),
		took_ms: open(z.number()),
	}),
	({ documents, took_ms }) => ({
		count: documents.length,
		documents: documents.map(({ n, document_id, title, rerank_score }) => ({ n, document_id, title, rerank_score })),
		took_ms,
	}),
);

export const retrievalFailed = event(
	"retrieval.failed",
	z.strictObject({ code: open(z.string()), message: open(z.string()) }),
);

const ingestDocument = z.strictObject({
	document_id: open(z.string()),
	name: personal(z.string()),
	media_type: open(z.string()),
	sha256: open(z.string()),
	bytes: open(z.int()),
});

export const ingestRequested = event(
	"ingest.requested",
	z.strictObject({ documents: z.array(ingestDocument), deadline_at: open(z.int()) }),
);

export const ingestProgress = event(
	"ingest.progress",
	z.strictObject({
		document: personal(z.string()),
		/** Chunks embedded so far, of all. */
		done: open(z.int()),
		total: open(z.int()),
		problem: open(z.string()).optional(),
	}),
	(data) => data,
);

const ingested = z.strictObject({
	document_id: open(z.string()),
	name: personal(z.string()),
	chunks: open(z.int()),
	version: open(z.int()),
	outcome: open(z.enum(["indexed", "unchanged", "failed"])),
	problem: open(z.string()).optional(),
});
export const ingestCompleted = event(
	"ingest.completed",
	z.strictObject({ documents: z.array(ingested), took_ms: open(z.number()) }),
	(data) => data,
);
