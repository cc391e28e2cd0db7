import type { ChatMessage } from "../../schemas/events/inference.ts";

/** A numbered passage of the prompt, cut into what can be quoted from it. */
export type Passage = { n: number; title: string; quotes: Quotable[] };

/** Text that can stand by itself; `under` is the heading that it stands under. */
export type Quotable = { text: string; under: string };

const sentenceEnd = /(?<=[.!?…]["'”’)\]]{0,2})\s+(?=["'“‘(]?[\p{Lu}\p{N}])|(?<=[。！？])/u;
/** A full stop behind these ends no sentence. */
const abbreviation = /(?:^|[\s(])(?:e\.g|i\.e|cf|vs|approx|ca|no|nr|fig|mr|mrs|ms|dr|prof|st|inc|ltd|\p{Lu})\.$/iu;
const listItem = /^(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?/;
const fence = /^(?:```|~~~)/;
const heading = /^#{1,6}\s+/;
/** Rules: `---`, `***`, `===` under a heading, and the line under the head of a table. */
const rule = /^(?:[-*_=]\s*){3,}$|^\|?\s*:?-+:?\s*(?:\|\s*:?-*:?\s*)*\|?$/;

/** Characters up to which a list is quoted as a whole. */
const longestList = 400;

/** Markdown off, words as they are. A document's own marks like [3] go, since in an answer they would cite. */
export function plain(markdown: string): string {
	return (
		markdown
			.replace(/!\[[^\]]*\]\([^)]*\)/g, "")
			.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")
			.replace(/\s?\[\^?\d+\]/g, "")
			.replace(/<\/?[a-z][^<>]*>/gi, "")
			.replace(/`([^`]*)`/g, "$1")
			.replace(/(\*\*|__)(?=\S)(.+?)(?<=\S)\1/g, "$2")
			.replace(/(?<![\p{L}\p{N}*_])([*_])(?=\S)([^*_]+?)(?<=\S)\1(?![\p{L}\p{N}*_])/gu, "$2")
			// What a passage boundary has cut in half.
			.replaceAll("**", "")
			.replace(/\s+/g, " ")
			.trim()
	);
}

/** A paragraph that opens with so few words opens with its label: alone, it says nothing. */
const LABEL_WORDS = 5;

export function sentences(paragraph: string): string[] {
	const whole: string[] = [];
	for (const part of paragraph.split(sentenceEnd)) {
		const last = whole.at(-1);
		const label = whole.length === 1 && (last?.split(" ").length ?? 0) <= LABEL_WORDS;
		if (last !== undefined && (label || abbreviation.test(last))) whole[whole.length - 1] = `${last} ${part}`;
		else whole.push(part);
	}
	return whole.map((sentence) => sentence.trim()).filter(Boolean);
}

/**
 * What can be quoted from a text: sentences, table rows and list items, without headings, code and rules.
 * The items of a list belong to the sentence that opens it with a colon: neither says much alone.
 */
function quotables(text: string): Quotable[] {
	const found: Quotable[] = [];
	let paragraph: string[] = [];
	let under = "";
	let inCode = false;
	let inItem = false;
	let opening: Quotable | undefined;
	const close = () => {
		const text = plain(paragraph.join(" "));
		paragraph = [];
		if (text === "") return;
		if (inItem && opening !== undefined && opening.text.length + text.length <= longestList) {
			const separator = opening.text.endsWith(":") || /[.!?]$/.test(opening.text) ? " " : "; ";
			opening.text += separator + text;
			return;
		}
		for (const sentence of sentences(text)) found.push({ text: sentence, under });
		const last = found.at(-1);
		opening = !inItem && last?.text.endsWith(":") ? last : undefined;
	};
	const lines = text.split(/\r?\n/).map((line) => line.replace(/^\s*(?:>\s?)*/, "").trim());
	for (const [at, line] of lines.entries()) {
		const next = lines[at + 1] ?? "";
		const underlined = /^(?:=+|-{3,})$/.test(next) && line !== "" && paragraph.length === 0;
		if (fence.test(line)) {
			close();
			inCode = !inCode;
		} else if (inCode) continue;
		else if (line === "" || rule.test(line)) close();
		else if (heading.test(line) || underlined) {
			close();
			under = plain(line.replace(heading, "").replace(/\s#+$/, ""));
		} else if (line.startsWith("|")) {
			close();
			inItem = false;
			// The head of a table names columns and says nothing.
			if (rule.test(next) && next.includes("-")) continue;
			const cells = line.replace(/^\||\|$/g, "").split("|");
			paragraph.push(cells.map(plain).filter(Boolean).join(" | "));
			close();
		} else {
			const startsItem = listItem.test(line);
			if (startsItem || paragraph.length === 0) {
				close();
				inItem = startsItem;
			}
			paragraph.push(line.replace(listItem, ""));
		}
	}
	close();
	return found;
}

/**
 * The evidence of a prompt: passages between the lines `<evidence>` and `</evidence>` of its system messages, each opened
 * by a line `[n] title`. Numbers rise, so that a `[1]` in the text of passage 3 opens nothing.
 */
export function passagesOf(messages: readonly ChatMessage[]): Passage[] {
	const raw: { n: number; title: string; lines: string[] }[] = [];
	for (const message of messages) {
		if (message.role !== "system") continue;
		const lines = message.content.split(/\r?\n/);
		const start = lines.findIndex((line) => line.trim() === "<evidence>");
		const end = lines.findLastIndex((line) => line.trim() === "</evidence>");
		if (start === -1) continue;
		for (const line of lines.slice(start + 1, end > start ? end : undefined)) {
			const [, number, title = ""] = /^\[(\d+)\]\s+(.*)$/.exec(line) ?? [];
			const last = raw.at(-1);
			if (number !== undefined && Number(number) > (last?.n ?? 0)) {
				raw.push({ n: Number(number), title: plain(title), lines: [] });
			} else last?.lines.push(line);
		}
	}
	return raw.map(({ n, title, lines }) => ({ n, title, quotes: quotables(lines.join("\n")) }));
}
