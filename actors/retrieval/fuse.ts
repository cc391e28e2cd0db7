/** `ranks` and `scores` hold, per list that returned the item, its rank there (from 1) and the list's own score. */
export type Fused<T> = { item: T; ranks: Record<string, number>; scores: Record<string, number>; score: number };

/**
 * Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009): a chunk scores the sum over all lists of 1 / (k + rank),
 * k = 60 as there. Ranks alone count, so lists of different engines and scales may be mixed. The same chunk is known by
 * its `chunk_id`; the item of the first list that has it stands. Equal scores keep the order of first appearance.
 */
export function fuse<T extends { chunk_id: string; score: number }>(
	lists: Readonly<Record<string, readonly T[]>>,
	k = 60,
): Fused<T>[] {
	const chunks = new Map<string, Fused<T>>();
	for (const [list, items] of Object.entries(lists)) {
		for (const [before, item] of items.entries()) {
			const chunk = chunks.get(item.chunk_id) ?? { item, ranks: {}, scores: {}, score: 0 };
			// A list that names a chunk twice counts it once, at its better rank.
			if (chunk.ranks[list] !== undefined) continue;
			chunk.ranks[list] = before + 1;
			chunk.scores[list] = item.score;
			chunk.score += 1 / (k + before + 1);
			chunks.set(item.chunk_id, chunk);
		}
	}
	return [...chunks.values()].sort((a, b) => b.score - a.score);
}
