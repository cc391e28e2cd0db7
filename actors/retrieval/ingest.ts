import type { DataOf, EventDraft } from "../../schemas/events/all.ts";
import type { Ask, Performance } from "../actor.ts";
import { type chunk, embeddingText, type TextChunk } from "./chunk.ts";
import type { Library } from "./library.ts";
import type { Embeddings, IndexedDocument, Search } from "./ports.ts";

export type IngestPorts = {
	search: Search;
	embeddings: Embeddings;
	library: Library;
	/** `chunk` of chunk.ts, away from the event loop where the text is long. */
	chunk(document: Parameters<typeof chunk>[0]): Promise<TextChunk[]>;
	/** Milliseconds since the epoch. */
	now(): number;
};

type Ingested = DataOf<"ingest.completed">["documents"][number];
type Document = DataOf<"ingest.requested">["documents"][number];

/** Chunks that are embedded between two progress events. */
const BATCH = 16;

const formats: Readonly<Record<string, "md" | "txt">> = { "text/markdown": "md", "text/plain": "txt" };

/** The search engine, the embeddings or the list did not do their part; the cause is for those who run them. */
export const searchFailed = (problem: unknown): EventDraft => ({
	type: "retrieval.failed",
	data: { code: "search_failed", message: problem instanceof Error ? problem.message : String(problem) },
});

/** Takes documents in: chunked by structure, embedded, indexed, listed. The same content again changes nothing (§8). */
export async function* ingest(ask: Ask<"ingest.requested">, ports: IngestPorts, signal: AbortSignal): Performance {
	const { tenant, request } = ask.entry;
	const begin = ports.now();
	const documents: Ingested[] = [];
	try {
		for (const document of ask.data.documents) {
			if (signal.aborted) break;
			documents.push(yield* one(document, tenant, request, ports));
		}
	} catch (problem) {
		return [searchFailed(problem)];
	}
	return [{ type: "ingest.completed", data: { documents, took_ms: ports.now() - begin } }];
}

async function* one(
	document: Document,
	tenant: string,
	request: string,
	ports: IngestPorts,
): AsyncGenerator<readonly EventDraft[], Ingested, unknown> {
	const { document_id, name, media_type, sha256, bytes } = document;
	const known = await ports.library.row(tenant, document_id);
	if (known?.sha256 === sha256)
		return { document_id, name, chunks: known.chunks, version: known.version, outcome: "unchanged" };
	const failed = (problem: string): Ingested => ({
		document_id,
		name,
		chunks: 0,
		version: known?.version ?? 0,
		outcome: "failed",
		problem,
	});
	const format = formats[media_type];
	if (!format)
		return failed(`the media type is expected to be one of ${Object.keys(formats).join(", ")}, got ${media_type}`);
	const text = await ports.library.content(tenant, request, sha256);
	if (text === undefined) return failed("its content is gone; send it again");
	const parts = await ports.chunk({ document_id, title: name, format, text });
	if (parts.length === 0) return failed("it holds no text");

	const chunks: IndexedDocument["chunks"][number][] = [];
	for (let at = 0; at < parts.length; at += BATCH) {
		const batch = parts.slice(at, at + BATCH);
		const vectors = await ports.embeddings.embed(batch.map(embeddingText));
		for (const [offset, part] of batch.entries()) chunks.push({ ...part, vector: vectors[offset] ?? [] });
		yield [{ type: "ingest.progress", data: { document: name, done: chunks.length, total: parts.length } }];
	}
	const version = (known?.version ?? 0) + 1;
	await ports.search.index(tenant, { document_id, title: name, labels: [], chunks });
	await ports.library.shelve(tenant, request, {
		document_id,
		name,
		media_type,
		sha256,
		bytes,
		chunks: chunks.length,
		version,
		ingested_at: ports.now(),
	});
	return { document_id, name, chunks: chunks.length, version, outcome: "indexed" };
}
