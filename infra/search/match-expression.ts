import { contentWords, isStopWord, words } from "../../actors/retrieval/words.ts";

/** More words than this make a query slower, not better. */
const MAX_TERMS = 64;

/** Runs of letters and digits, also joined by signs as in `request.accepted`, `max_deliver`, `x-trace-id`. */
const COMPOUND = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:[._\-:/@#+][\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*/gu;

/**
 * What a person typed as an FTS5 MATCH expression: every word a quoted string, all of them OR-ed, so that nothing in it
 * is syntax. A joined name counts as a phrase besides its parts. Stop words go unless there is nothing else.
 * Nothing when the text has no letter or digit.
 */
export function matchExpression(text: string): string | undefined {
	const compounds = text.normalize("NFKC").match(COMPOUND) ?? [];
	const topic = new Set(contentWords(text));
	const wanted = (part: string) => topic.size === 0 || words(part).some((word) => topic.has(word) && !isStopWord(word));
	const terms = new Set<string>();
	for (const compound of compounds) {
		const parts = compound.toLowerCase().split(/[._\-:/@#+]/);
		if (parts.length > 1 && parts.length <= 6 && parts.some(wanted)) terms.add(parts.join(" "));
		for (const part of parts) if (wanted(part)) terms.add(part);
		if (terms.size >= MAX_TERMS) break;
	}
	if (terms.size === 0) return undefined;
	return [...terms]
		.slice(0, MAX_TERMS)
		.map((term) => `"${term}"`)
		.join(" OR ");
}
