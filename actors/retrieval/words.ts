/** Words that carry no topic in an English question. Kept short: a word that could be the topic is not here. */
const STOP_WORDS = new Set(
	`a about an and any are as at be been being but by can could did do does doing done for from had has have having he her
	here hers him his how i if in into is it its just me mine my no nor not of off on onto or our ours out over own s she so
	some such t than that the their theirs them then there these they this those through to too under until up us very was we
	were what when where which while who whom whose why will with would you your yours
	happen happens happened also ever exactly please mean means tell`.split(/\s+/),
);

/** "how long", "how many": the word after "how" asks for a kind of answer, it is not the topic. */
const MEASURE = /\bhow (?:long|many|much|often|far|soon|big|large)\b/giu;

/** Letters and digits in lower case without diacritics, in order, repeats included. */
export function words(text: string): string[] {
	const plain = text.normalize("NFKD").replace(/\p{M}+/gu, "");
	return plain.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

export function isStopWord(word: string): boolean {
	return STOP_WORDS.has(word);
}

/** The words of a question that say what it is about; a text of nothing but stop words has none. */
export function contentWords(text: string): string[] {
	return words(text.replace(MEASURE, " ")).filter((word) => !STOP_WORDS.has(word));
}

/**
 * A light English stem, for comparing words only: plural, -ing, -ed, -ly and a final e go, `ies` becomes `y`.
 * It joins retry, retries, retried and retrying. Words with digits and words of up to three letters stay.
 */
export function stem(word: string): string {
	if (word.length < 4 || /\d/.test(word)) return word;
	let root = word;
	if (/(?:ies|ied)$/.test(root) && root.length > 4) root = `${root.slice(0, -3)}y`;
	else if (/(?:ss|sh|ch|x|z)es$/.test(root)) root = root.slice(0, -2);
	else if (/[^su]s$/.test(root)) root = root.slice(0, -1);
	const cut = root.replace(/(?:ing|ed|ly)$/, "");
	// "string" and "speed" are no verb forms: what stays has to hold a vowel and three letters.
	if (cut !== root && cut.length >= 3 && /[aeiouy]/.test(cut)) root = cut.replace(/([bdfgmnprt])\1$/, "$1");
	return root.length > 3 ? root.replace(/e$/, "") : root;
}
