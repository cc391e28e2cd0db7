import type { EventDraft } from "../../schemas/events/all.ts";
import type { Check } from "../../schemas/events/output.ts";
import type { Evidence } from "../../schemas/events/retrieval.ts";
import type { ValidatorRule } from "../../schemas/feature.ts";

export type Validated = { checks: Check[]; passed: boolean; citations: EventDraft[] };

const MARK = /\[(\d{1,3})\]/g;
const QUOTE_CHARACTERS = 300;
/** Share of a sentence's content words that the cited passage has to hold. */
const VERIFIED_SHARE = 0.6;
/** Shorter words tell passages apart too little. */
const CONTENT_WORD = /[\p{L}\p{N}_]{4,}/gu;

/** Runs a feature's validators over an answer; every mark that names a packed passage becomes a citation (§4). */
export function validate(rules: readonly ValidatorRule[], text: string, documents: readonly Evidence[]): Validated {
	const marks = findMarks(text, documents);
	const checks = rules.map((rule) => check(rule, text, documents, marks));
	const known = new Set<number>();
	const citations: EventDraft[] = [];
	for (const { n, quote, evidence } of marks) {
		if (!evidence || known.has(n)) continue;
		known.add(n);
		const { document_id, chunk_id, title } = evidence;
		citations.push({
			type: "citation.added",
			data: { n, document_id, chunk_id, title, quote, verified: holds(evidence, quote) },
		});
	}
	return { checks, passed: checks.every(({ passed }) => passed), citations };
}

type Mark = { n: number; quote: string; evidence: Evidence | undefined };

function check(rule: ValidatorRule, text: string, documents: readonly Evidence[], marks: readonly Mark[]): Check {
	switch (rule.kind) {
		case "not_empty":
			return { validator: rule.kind, passed: text.trim() !== "", detail: `${text.trim().length} characters` };
		case "length":
			return {
				validator: rule.kind,
				passed: text.length <= rule.max_characters,
				detail: `${text.length} of at most ${rule.max_characters} characters`,
			};
		case "citations": {
			const unknown = marks.filter(({ evidence }) => !evidence).map(({ n }) => n);
			const missing = rule.required && documents.length > 0 && marks.length === 0;
			const detail =
				unknown.length > 0
					? `marks ${unknown.join(", ")} name no passage out of ${documents.length}`
					: missing
						? "an answer from evidence carries no mark"
						: `${marks.length} marks, all of them name a passage`;
			return { validator: rule.kind, passed: unknown.length === 0 && !missing, detail };
		}
	}
}

function findMarks(text: string, documents: readonly Evidence[]): Mark[] {
	// Without evidence a number in brackets is a number in brackets.
	if (documents.length === 0) return [];
	return [...text.matchAll(MARK)].map((match) => {
		const n = Number(match[1]);
		return { n, quote: sentenceBefore(text, match.index), evidence: documents.find((document) => document.n === n) };
	});
}

/** The sentence that a mark stands in or behind, without marks. */
function sentenceBefore(text: string, at: number): string {
	const before = text.slice(0, at).replace(MARK, "").trimEnd();
	const start = Math.max(...[". ", "! ", "? ", "\n"].map((end) => before.lastIndexOf(end, before.length - 2)));
	return before
		.slice(start + 1)
		.trim()
		.slice(-QUOTE_CHARACTERS);
}

function holds({ title, text }: Evidence, quote: string): boolean {
	const words = new Set(quote.toLowerCase().match(CONTENT_WORD));
	const passage = new Set(`${title} ${text}`.toLowerCase().match(CONTENT_WORD));
	const held = [...words].filter((word) => passage.has(word)).length;
	return words.size > 0 && held / words.size >= VERIFIED_SHARE;
}
