import { contentWords, words } from "./words.ts";

/** Politeness and lead-ins, at the start of a question; what follows is the question. */
const LEAD_INS = [
	/^(?:hi|hello|hey|please|ok|okay|well|so|um|uh|also|thanks|thank you)\b[\s,.!:–-]*/iu,
	/^(?:can|could|would|will) you (?:please |kindly )?(?:tell|explain to|explain|show|help) ?(?:me|us)?(?: understand)?(?: about)?\b[\s,:]*/iu,
	/^(?:i|we)(?:'d| would)? (?:like|want|need|love) to (?:know|ask|understand|learn)(?: about)?\b[\s,:]*/iu,
	/^(?:i|we) (?:was|am|were|are) (?:just )?wondering(?: if| whether| about)?\b[\s,:]*/iu,
	/^do you (?:happen to )?know\b[\s,:]*/iu,
	/^(?:tell|explain to|show) (?:me|us)(?: about)?\b[\s,:]*/iu,
];
const TRAILERS = /[\s,]*\b(?:please|thanks|thank you|thanks in advance|if you can)[\s.!?]*$/iu;

/** Words that point at something said before. */
const REFERENCE =
	/\b(?:it|its|they|them|their|theirs|he|him|his|she|her|that|this|those|these|there|one|ones|same|former|latter)\b/iu;
const CONTINUES = /^(?:and|but|or|then|what about|how about|why not|what if|otherwise|else)\b/iu;

/** A question with more content words than this stands for itself, whatever it points at. */
const FEW = 3;
/** So many words of the earlier turn name its topic; more would drown the question. */
const BORROWED = 8;
/** One text may hold several questions; each costs two searches. */
const MAX_REWRITES = 4;

/**
 * What to search for, best first: the question without politeness, and when it holds several questions each of them too.
 * A follow-up ("and how long does it last?") gets the content words of the last earlier turn that has a topic; no word is
 * made up. `history` holds the earlier turns of the user, oldest first. Nothing when there is nothing to search for.
 */
export function rewrite(query: string, history: readonly string[]): string[] {
	const question = withoutFiller(query);
	if (words(question).length === 0) return [];
	const topic = isFollowUp(question) ? topicOf(history, contentWords(question)) : [];
	const resolve = (text: string) => [text, ...topic].join(" ");
	const parts = question.split(/(?<=\?)\s+/u).filter((part) => part.endsWith("?") && contentWords(part).length >= 2);
	const several = parts.length > 1 ? parts : [];
	return [...new Set([question, ...several].map(resolve))].slice(0, MAX_REWRITES);
}

function withoutFiller(query: string): string {
	let text = query.replace(/\s+/gu, " ").trim();
	for (let changed = true; changed; ) {
		const before = text;
		for (const filler of [...LEAD_INS, TRAILERS]) {
			const rest = text.replace(filler, "").trim();
			// "Thanks" alone, or "tell me" alone, stays what it is.
			if (words(rest).length > 0) text = rest;
		}
		changed = text !== before;
	}
	return text;
}

function isFollowUp(question: string): boolean {
	const own = contentWords(question).length;
	if (own === 0) return true;
	return own <= FEW && (own === 1 || REFERENCE.test(question) || CONTINUES.test(question));
}

/** The content words of the last turn that is no follow-up itself, and of the follow-ups after it; without those at hand. */
function topicOf(history: readonly string[], own: readonly string[]): string[] {
	const found: string[] = [];
	for (const turn of history.toReversed()) {
		const question = withoutFiller(turn);
		found.unshift(...contentWords(question));
		if (!isFollowUp(question)) break;
	}
	return [...new Set(found)].filter((word) => !own.includes(word)).slice(0, BORROWED);
}
