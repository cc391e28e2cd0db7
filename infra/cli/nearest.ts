/** The word of a list that a mistyped one was most likely meant to be; nothing when all differ in more than a third. */
export function nearest(word: string, known: readonly string[]): string | undefined {
	const [best] = known
		.map((candidate) => ({ candidate, distance: distance(word, candidate) }))
		.filter(({ candidate, distance }) => distance <= Math.ceil(Math.max(word.length, candidate.length) / 3))
		.sort((a, b) => a.distance - b.distance);
	return best?.candidate;
}

/** Edits between two words: insertions, deletions, replacements (Levenshtein 1966). */
function distance(a: string, b: string): number {
	let row = Array.from({ length: b.length + 1 }, (_, at) => at);
	for (const [i, left] of [...a].entries()) {
		const next = [i + 1];
		for (const [j, right] of [...b].entries()) {
			const replaced = (row[j] ?? 0) + (left === right ? 0 : 1);
			next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
		}
		row = next;
	}
	return row.at(-1) ?? 0;
}
