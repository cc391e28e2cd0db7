import { words } from "./words.ts";

export type Packable = { chunk_id: string; document_id: string; text: string; tokens: number };

/** `n` is the citation number, from 1 in the order of the prompt. */
export type Packed<T> = {
	packed: (T & { n: number })[];
	dropped: { chunk_id: string; reason: "budget" | "duplicate" }[];
	tokens: number;
};

/** Share of three-word runs that two texts have in common, from which they say the same. */
const SAME = 0.8;

/**
 * Fills `budget` tokens with the best chunks. `ranked` is in order of rank; a chunk that does not fit is left out and the
 * next smaller one may still get in, one that nearly repeats a better one is left out. `overhead` is what the prompt adds
 * per chunk (number, title), in tokens.
 *
 * Chunks that follow each other in a document stand together in reading order, where the best of them ranks; otherwise
 * the order is that of rank. Pure, so the same input gives the same numbers, and a replay cites the same evidence.
 */
export function pack<T extends Packable>(ranked: readonly T[], budget: number, overhead = 0): Packed<T> {
	const kept: { chunk: T; runs: Set<string> }[] = [];
	const dropped: Packed<T>["dropped"] = [];
	let tokens = 0;
	for (const chunk of ranked) {
		const runs = runsOf(chunk.text);
		const cost = chunk.tokens + overhead;
		if (kept.some((other) => other.chunk.chunk_id === chunk.chunk_id || overlap(runs, other.runs) >= SAME)) {
			dropped.push({ chunk_id: chunk.chunk_id, reason: "duplicate" });
		} else if (tokens + cost > budget) {
			dropped.push({ chunk_id: chunk.chunk_id, reason: "budget" });
		} else {
			kept.push({ chunk, runs });
			tokens += cost;
		}
	}
	const packed = inReadingOrder(kept.map(({ chunk }) => chunk)).map((chunk, before) => ({ ...chunk, n: before + 1 }));
	return { packed, dropped, tokens };
}

/** Three-word runs; of a shorter text the text itself. */
function runsOf(text: string): Set<string> {
	const all = words(text);
	if (all.length < 3) return new Set([all.join(" ")]);
	return new Set(all.slice(2).map((word, at) => `${all[at]} ${all[at + 1]} ${word}`));
}

/** Of the shorter text, how much is in the longer one: a part of a kept text adds nothing either. */
function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
	const [small, large] = a.size <= b.size ? [a, b] : [b, a];
	let shared = 0;
	for (const run of small) if (large.has(run)) shared += 1;
	return shared / small.size;
}

function inReadingOrder<T extends Packable>(chunks: readonly T[]): T[] {
	const byId = new Map(chunks.map((chunk) => [chunk.chunk_id, chunk]));
	const ordered = new Set<T>();
	for (const chunk of chunks) {
		if (ordered.has(chunk)) continue;
		let first = chunk;
		for (let before = neighbour(byId, first, -1); before !== undefined; before = neighbour(byId, first, -1))
			first = before;
		for (let next: T | undefined = first; next !== undefined; next = neighbour(byId, next, 1)) ordered.add(next);
	}
	return [...ordered];
}

/** By the ordinal in `<document_id>#<ordinal>`; ids of another form have no neighbours. */
function neighbour<T extends Packable>(chunks: ReadonlyMap<string, T>, chunk: T, by: number): T | undefined {
	const ordinal = /#(\d+)$/.exec(chunk.chunk_id)?.[1];
	if (ordinal === undefined) return undefined;
	const other = chunks.get(`${chunk.chunk_id.slice(0, -ordinal.length)}${Number(ordinal) + by}`);
	return other?.document_id === chunk.document_id ? other : undefined;
}
