import { contentWords, stem, words } from "../../actors/retrieval/words.ts";
import type { Passage } from "./passages.ts";

/** A sentence that answers, word for word, and the passage that it stands in. */
export type Quote = { n: number; text: string };

const mostQuotes = 4;
/** From this many quotes on, a further one has to be nearly as good as the best. */
const enoughQuotes = 2;
/** Shares of the best score below which a sentence is beside the point: as one of the first two, and as a further one. */
const related = 0.5;
const close = 0.65;
/** Share of the question's weight that makes a weaker sentence worth quoting, if none before it speaks about that part. */
const newTopic = 0.2;
/** Sentences that share this much of their words say the same. */
const sameShare = 0.7;
/** Words of a sentence that can be quoted. */
const shortest = 3;
const longest = 80;

/** Words that ask for a number, a date or a duration, and what an answer to them holds. */
const asksMeasure =
	/\b(?:how (?:long|many|much|often|soon|fast|far|old|large|big|quickly)|when|what (?:time|date|price))\b/i;
const measure =
	/\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twice|daily|weekly|monthly|yearly|free|immediately)\b/i;
/** Verbs of any topic: they tell little about what is asked. */
const generic = new Set(
	"take get make go need want use work give have say know find put let try keep start".split(" ").map(stem),
);

type Candidate = Quote & { order: number; terms: Set<string>; around: Set<string>; place: number; rank: number };

function candidatesOf(passages: readonly Passage[]): Candidate[] {
	const stems = new Map<string, string>();
	const terms = (list: string[]) => {
		const set = new Set<string>();
		for (const word of list) {
			const known = stems.get(word) ?? stem(word);
			stems.set(word, known);
			set.add(known);
		}
		return set;
	};
	const candidates: Candidate[] = [];
	for (const [rank, { n, title, quotes }] of passages.entries()) {
		const headings = new Map<string, Set<string>>();
		for (const [place, { text, under }] of quotes.entries()) {
			if (text.endsWith(":") || text.endsWith("?")) continue;
			const list = words(text);
			if (list.length < shortest || list.length > longest) continue;
			const around = headings.get(under) ?? terms(words(`${title} ${under}`));
			headings.set(under, around);
			candidates.push({ n, text, rank, place, order: candidates.length, terms: terms(list), around });
		}
	}
	return candidates;
}

/** Words that are part of almost every sentence of the evidence weigh little: ln(1 + (N − df + 0.5) / (df + 0.5)), as in BM25. */
function weights(asked: ReadonlySet<string>, candidates: readonly Candidate[]): Map<string, number> {
	const weight = (term: string) => {
		const having = candidates.filter((candidate) => candidate.terms.has(term)).length;
		const rarity = Math.log(1 + (candidates.length - having + 0.5) / (having + 0.5));
		return generic.has(term) ? rarity / 4 : rarity;
	};
	return new Map([...asked].map((term) => [term, weight(term)]));
}

const sumOver = (weight: ReadonlyMap<string, number>, has: (term: string) => boolean) =>
	[...weight].reduce((sum, [term, value]) => sum + (has(term) ? value : 0), 0);

const overlap = (a: ReadonlySet<string>, b: ReadonlySet<string>) => {
	const shared = [...a].filter((term) => b.has(term)).length;
	return shared / Math.max(1, Math.min(a.size, b.size));
};

/**
 * The sentences of the evidence that speak most about the question: up to four, in the order in which they stand.
 * A sentence scores the weights of the question's words in it, and half of those in its title and heading;
 * one with a number scores more when a number is asked for; long sentences, later places and lower passages score less.
 * None is taken whose sentence, title and heading share no word with the question.
 */
export function extract(question: string, passages: readonly Passage[]): Quote[] {
	const topic = contentWords(question);
	const asked = new Set((topic.length > 0 ? topic : words(question)).map(stem));
	const candidates = candidatesOf(passages);
	const weight = weights(asked, candidates);
	const total = sumOver(weight, () => true);
	const wantsMeasure = asksMeasure.test(question);
	const mean = candidates.reduce((sum, { terms }) => sum + terms.size, 0) / Math.max(1, candidates.length);

	const score = (candidate: Candidate, fresh: number) => {
		const said = sumOver(weight, (term) => candidate.terms.has(term));
		const around = sumOver(weight, (term) => candidate.around.has(term) && !candidate.terms.has(term));
		const length = 0.7 + (0.3 * candidate.terms.size) / mean;
		const place = 1 + 0.15 / (1 + candidate.place) + 0.3 / (1 + candidate.rank);
		const answers = wantsMeasure && measure.test(candidate.text) ? 1.6 : 1;
		return ((said + 0.5 * fresh + 0.5 * around) / length) * place * answers;
	};

	const chosen: Candidate[] = [];
	const covered = new Set<string>();
	let left = candidates;
	let best = 0;
	while (chosen.length < mostQuotes) {
		let next: { candidate: Candidate; value: number; fresh: number } | undefined;
		for (const candidate of left) {
			const fresh = sumOver(weight, (term) => candidate.terms.has(term) && !covered.has(term));
			const value = score(candidate, fresh);
			if (value > (next?.value ?? 0)) next = { candidate, value, fresh };
		}
		if (next === undefined) break;
		const { candidate, value, fresh } = next;
		best = Math.max(best, value);
		const good = value >= best * (chosen.length < enoughQuotes ? related : close);
		if (!good && fresh < newTopic * total) break;
		chosen.push(candidate);
		for (const term of candidate.terms) covered.add(term);
		left = left.filter((other) => overlap(candidate.terms, other.terms) <= sameShare);
	}
	return chosen.sort((a, b) => a.order - b.order).map(({ n, text }) => ({ n, text }));
}
