import type { Fused } from "./fuse.ts";
import { contentWords, stem, words } from "./words.ts";

export type Reranked<T> = Fused<T> & { rerank_score: number };

/** Cosine of texts that have nothing to do with each other, and of a question with its answer. A matter of the model. */
export type CosineScale = { unrelated: number; answers: number };

/** Measured with the embedding model that ships with the project. */
const SCALE: CosineScale = { unrelated: 0.3, answers: 0.75 };

/** Words that a sentence or two have: terms that stand this close speak of the same thing. */
const WINDOW = 30;

/** From this many neighbours on, the middle one shows what any text of the collection has in common with the query. */
const BACKGROUND = 20;

/**
 * Orders candidates by how strongly each is evidence for the query, 0 (unrelated) to 1 (says what was asked). Unlike the
 * fused score, which knows ranks alone, this one can be compared with a threshold.
 *
 *     score   = 1 − (1 − words²)(1 − 0.5 · meaning)      either signal is evidence, both are more
 *     words   = 0.45 coverage + 0.35 proximity + 0.10 title + 0.10 bm25 · coverage
 *     meaning = (cosine − floor) / (answers − floor), cut to 0…1; 0 where the vector list lacks the chunk;
 *               floor = the larger of `unrelated` and the median of a vector list of 20 or more
 *
 * `coverage` is the share of the query's content words found in title and text, `proximity` the share found within 30
 * words of the text, `title` the share found in the title; a word counts 1 − df/2n, df of the n candidates having it, so
 * that a word that all have says half as much as one that few have. Words match by stem, or 0.6 by a common start
 * (idempotent, idempotency). `bm25` is relative to the best of its list. `words` is squared since some of the words are
 * in any text. Meaning alone reaches 0.5: so small an encoder does not prove an answer.
 *
 * Lists are named `lexical` and `vector`; those of further rewrites `lexical:2`, `vector:2` and so on.
 */
export function rerank<T extends { title: string; text: string }>(
	query: string,
	candidates: readonly Fused<T>[],
	scale: CosineScale = SCALE,
): Reranked<T>[] {
	const topic = contentWords(query);
	const terms = [...new Set((topic.length > 0 ? topic : words(query)).map(stem))];
	const find = finder(terms);
	const found = candidates.map(({ item }) => ({ title: find(item.title), text: find(item.text) }));
	const share = shares(terms, found);
	const lists = listsOf(candidates);

	const scored = candidates.map((candidate, at): Reranked<T> => {
		const { title, text } = found[at] ?? { title: [], text: [] };
		const coverage = share([...title, ...text]);
		const windows = text.map(({ place }) => text.filter((hit) => hit.place >= place && hit.place < place + WINDOW));
		const proximity = Math.max(0, ...windows.map(share));
		let bm25 = 0;
		let meaning = 0;
		for (const [list, score] of Object.entries(candidate.scores)) {
			const { best, middle } = lists.get(list) ?? { best: score, middle: undefined };
			if (list.startsWith("lexical") && best > 0) bm25 = Math.max(bm25, score / best);
			const floor = Math.max(scale.unrelated, middle ?? scale.unrelated);
			// A list whose middle reaches the upper end cannot tell an answer from the rest.
			if (list.startsWith("vector") && floor < scale.answers) {
				meaning = Math.max(meaning, Math.min(1, (score - floor) / (scale.answers - floor)));
			}
		}
		const lexical = 0.45 * coverage + 0.35 * proximity + 0.1 * share(title) + 0.1 * bm25 * coverage;
		return { ...candidate, rerank_score: 1 - (1 - lexical ** 2) * (1 - 0.5 * meaning) };
	});
	return scored.sort((a, b) => b.rerank_score - a.rerank_score);
}

/** A word of the text that stands for a term (its index): which, where, and how well, up to 1. */
type Found = { term: number; place: number; value: number };

/** Finds the terms in texts. What a word stands for is worked out once: candidates share most of their words. */
function finder(terms: readonly string[]): (text: string) => Found[] {
	const known = new Map<string, Omit<Found, "place">[]>();
	return (text) =>
		words(text).flatMap((word, place) => {
			let stands = known.get(word);
			if (stands === undefined) {
				const root = stem(word);
				stands = terms.map((term, at) => ({ term: at, value: likeness(term, root) })).filter(({ value }) => value > 0);
				known.set(word, stands);
			}
			return stands.map((hit) => ({ ...hit, place }));
		});
}

function likeness(term: string, other: string): number {
	if (term === other) return 1;
	const longer = Math.max(term.length, other.length);
	let common = 0;
	while (common < longer && term[common] === other[common]) common += 1;
	return common >= 5 && common >= longer * 0.6 ? 0.6 : 0;
}

/** The weighted share of the terms among what was found, each term at its best; 0 to 1. */
function shares(
	terms: readonly string[],
	candidates: readonly { title: Found[]; text: Found[] }[],
): (found: readonly Found[]) => number {
	const having = terms.map(() => 0);
	for (const { title, text } of candidates) {
		for (const term of new Set([...title, ...text].map((hit) => hit.term))) having[term] = (having[term] ?? 0) + 1;
	}
	const weights = having.map((count) => 1 - count / (2 * candidates.length));
	const total = weights.reduce((sum, weight) => sum + weight, 0);
	return (found) => {
		const best = terms.map(() => 0);
		for (const { term, value } of found) best[term] = Math.max(best[term] ?? 0, value);
		return total === 0 ? 0 : best.reduce((sum, value, term) => sum + value * (weights[term] ?? 0), 0) / total;
	};
}

/** Of each list its best score, and its median when it is long enough to show the background. */
function listsOf(candidates: readonly Fused<unknown>[]): Map<string, { best: number; middle: number | undefined }> {
	const all = new Map<string, number[]>();
	for (const { scores } of candidates) {
		for (const [list, score] of Object.entries(scores)) all.set(list, [...(all.get(list) ?? []), score]);
	}
	return new Map(
		[...all].map(([list, scores]) => {
			const sorted = scores.sort((a, b) => b - a);
			return [
				list,
				{ best: sorted[0] ?? 0, middle: sorted.length < BACKGROUND ? undefined : sorted[sorted.length >> 1] },
			];
		}),
	);
}
