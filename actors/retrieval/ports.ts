/** One piece of a document, as the search engine holds it. `chunk_id` is unique in the tenant. */
export type Chunk = { chunk_id: string; document_id: string; title: string; text: string; tokens: number };

/**
 * What `index` stores: all chunks of one version of a document, each with its embedding. `labels` are access labels: a
 * query sees the document if it shares one of them; an empty list means every principal of the tenant.
 */
export type IndexedDocument = {
	document_id: string;
	title: string;
	labels: readonly string[];
	/** A chunk's own title (document and heading path) is what is searched and shown; without one it has the document's. */
	chunks: readonly { chunk_id: string; title?: string; text: string; tokens: number; vector: readonly number[] }[];
};

/**
 * Higher is better. Of `lexical` it is the engine's BM25, comparable within one answer only; of `vector` the cosine
 * similarity, −1 to 1, on every engine.
 */
export type Hit = Chunk & { score: number };

/**
 * The search engine. Tenant and labels filter inside the engine, in both searches, before anything is cut off at `limit`.
 * What a resolved `index` or `delete` did is seen by every later search. All calls reject when the engine is away or what
 * they were given is malformed; an unknown tenant or document is no error, it has no hits.
 */
export type Search = {
	/** Replaces every chunk of the document at once: a reader sees the old version or the new one, never both or neither. */
	index(tenant: string, document: IndexedDocument): Promise<void>;
	delete(tenant: string, document_id: string): Promise<void>;
	/** BM25 over title and text; hits in order of score. `text` is what a person typed: nothing in it is query syntax. */
	lexical(tenant: string, query: { text: string; labels: readonly string[]; limit: number }): Promise<Hit[]>;
	/** Cosine nearest neighbours; hits in order of similarity. */
	vector(
		tenant: string,
		query: { vector: readonly number[]; labels: readonly string[]; limit: number },
	): Promise<Hit[]>;
};

/** Embeds texts, in order; vectors are unit length and `dimensions` long. Never blocks the event loop. */
export type Embeddings = { dimensions: number; embed(texts: readonly string[]): Promise<number[][]> };
