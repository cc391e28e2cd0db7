import { fuse } from "./fuse.ts";
import type { Embeddings, Hit, Search } from "./ports.ts";
import { type Reranked, rerank } from "./rerank.ts";
import { rewrite } from "./rewrite.ts";

export type FindPorts = { search: Search; embeddings: Embeddings };
export type Query = { tenant: string; labels: readonly string[]; query: string; history: readonly string[] };

/** Hits per list; what fusion and reranking choose from. */
const CANDIDATES = 40;

/** Rewrite, both searches side by side for each rewrite, rank fusion, rerank (§8): candidates, best first. */
export async function find(
	{ search, embeddings }: FindPorts,
	{ tenant, labels, query, history }: Query,
): Promise<{ rewrites: string[]; ranked: Reranked<Hit>[] }> {
	const rewrites = rewrite(query, history);
	if (rewrites.length === 0) return { rewrites, ranked: [] };
	const vectors = embeddings.embed(rewrites);
	const lexical = rewrites.map((text) => search.lexical(tenant, { text, labels, limit: CANDIDATES }));
	const semantic = vectors.then((found) =>
		Promise.all(found.map((vector) => search.vector(tenant, { vector, labels, limit: CANDIDATES }))),
	);
	const [byWords, byMeaning] = await Promise.all([Promise.all(lexical), semantic]);
	const lists: Record<string, Hit[]> = {};
	for (const [at, hits] of byWords.entries()) lists[listName("lexical", at)] = hits;
	for (const [at, hits] of byMeaning.entries()) lists[listName("vector", at)] = hits;
	return { rewrites, ranked: rerank(rewrites[0] ?? query, fuse(lists)) };
}

/** `lexical`, `vector` for the question itself, `lexical:2`, `vector:2` and so on for further rewrites. */
const listName = (engine: string, at: number): string => (at === 0 ? engine : `${engine}:${at + 1}`);
