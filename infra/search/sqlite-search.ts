import type { IndexedDocument, Search } from "../../actors/retrieval/ports.ts";
import type { SearchCalls, ThreadSettings } from "./sqlite-search-thread.ts";
import { openThread } from "./thread.ts";

/** Files that one thread keeps open; each costs up to 2 MB of page cache. */
const MAX_OPEN_FILES = 8;

/** vec0 answers at most 4,096 neighbours; nobody ranks that many. */
const MAX_LIMIT = 1_000;

/**
 * Search in SQLite: BM25 by FTS5, cosine by sqlite-vec, one file `<folder>/<tenant>.db` per tenant, since BM25 counts
 * words over the whole file and must not count another tenant's. Several processes may share the folder.
 *
 * `folder` is made at the first `index`; `dimensions` is the length of every vector. Reads and writes have a thread
 * each, so that a long ingest does not hold up questions (WAL: readers see the last commit and never wait).
 */
export function openSqliteSearch(options: {
	folder: string;
	dimensions: number;
	maxOpenFiles?: number;
}): Search & { close(): Promise<void> } {
	const { folder, dimensions, maxOpenFiles = MAX_OPEN_FILES } = options;
	const settings: ThreadSettings = { folder, dimensions, maxOpenFiles };
	const file = new URL("./sqlite-search-thread.ts", import.meta.url);
	const reads = openThread<SearchCalls>(file, settings);
	const writes = openThread<SearchCalls>(file, settings);

	return {
		async index(tenant, document) {
			checkTenant(tenant);
			const vectors = vectorsOf(document, dimensions);
			const { document_id, title, labels } = document;
			const chunks = document.chunks.map((chunk) => ({
				chunk_id: chunk.chunk_id,
				title: chunk.title ?? title,
				text: chunk.text,
				tokens: chunk.tokens,
			}));
			await writes.call("index", { tenant, document_id, labels, chunks, vectors }, [vectors.buffer as ArrayBuffer]);
		},
		async delete(tenant, document_id) {
			checkTenant(tenant);
			await writes.call("delete", { tenant, document_id });
		},
		async lexical(tenant, { text, labels, limit }) {
			checkTenant(tenant);
			checkLimit(limit);
			return await reads.call("lexical", { tenant, text, labels, limit });
		},
		async vector(tenant, { vector, labels, limit }) {
			checkTenant(tenant);
			checkLimit(limit);
			checkVector(vector, dimensions, "the query");
			return await reads.call("vector", { tenant, vector: Float32Array.from(vector), labels, limit });
		},
		async close() {
			await Promise.all([reads.close(), writes.close()]);
		},
	};
}

/** The tenant is a file name here, so it is checked here, whoever checked it before. */
function checkTenant(tenant: string): void {
	if (!/^[A-Za-z0-9_-]{1,64}$/.test(tenant)) {
		throw new Error(
			`A tenant is expected to be 1 to 64 letters, digits, _ or -, got ${JSON.stringify(tenant.slice(0, 80))}.`,
		);
	}
}

function checkLimit(limit: number): void {
	if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
		throw new Error(`A limit is expected to be a whole number from 1 to ${MAX_LIMIT}, got ${limit}.`);
	}
}

/** A zero vector has no direction: its cosine is not a number and would sort anywhere. */
function checkVector(vector: readonly number[], dimensions: number, of: string): void {
	if (vector.length !== dimensions) {
		throw new Error(
			`The vector of ${of} is expected to have ${dimensions} dimensions, got ${vector.length}. Embed with the model of the index.`,
		);
	}
	let squares = 0;
	for (const value of vector) squares += value * value;
	if (!Number.isFinite(squares) || squares === 0) {
		throw new Error(`The vector of ${of} is expected to be finite and not zero, its squared length is ${squares}.`);
	}
}

/** One block of memory that the thread takes over: cloning lists of numbers would hold the event loop. */
function vectorsOf({ chunks }: IndexedDocument, dimensions: number): Float32Array {
	const vectors = new Float32Array(chunks.length * dimensions);
	for (const [at, { chunk_id, vector }] of chunks.entries()) {
		checkVector(vector, dimensions, `chunk ${chunk_id}`);
		vectors.set(vector, at * dimensions);
	}
	return vectors;
}
