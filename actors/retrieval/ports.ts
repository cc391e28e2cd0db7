/** One piece of a document, as the search engine holds it. `labels` are access labels; an empty list means every principal of the tenant. */
export type Chunk = { chunk_id: string; document_id: string; title: string; text: string; tokens: number };

/** What `index` stores: all chunks of one version of a document, each with its embedding. */
export type IndexedDocument = {
	document_id: string;
	title: string;
	labels: readonly string[];
	chunks: readonly { chunk_id: string; text: string; tokens: number; vector: readonly number[] }[];
};

/** `score` is the engine's own, higher is better; only ranks are compared between engines. */
export type Hit = Chunk & { score: number };

/** The search engine. Tenant and labels filter inside the engine, in both searches; a document without labels is open to the tenant. */
export type Search = {
	/** Replaces every chunk of the document at once: a reader sees the old version or the new one, never both or neither. */
	index(tenant: string, document: IndexedDocument): Promise<void>;
	delete(tenant: string, document_id: string): Promise<void>;
	/** BM25 over title and text; hits in order of score. */
	lexical(tenant: string, query: { text: string; labels: readonly string[]; limit: number }): Promise<Hit[]>;
	/** Cosine nearest neighbours; hits in order of similarity. */
	vector(tenant: string, query: { vector: readonly number[]; labels: readonly string[]; limit: number }): Promise<Hit[]>;
};

/** Embeds texts, in order; vectors are unit length and `dimensions` long. Never blocks the event loop. */
export type Embeddings = { dimensions: number; embed(texts: readonly string[]): Promise<number[][]> };
