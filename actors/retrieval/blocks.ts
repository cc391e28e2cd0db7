/** A piece of a text that belongs together. `items` are the places where it may be cut when it is too long. */
export type Block =
	| { kind: "heading"; level: number; text: string }
	| { kind: "paragraph"; text: string }
	/** Also indented code, with its lines as items. */
	| { kind: "list"; items: string[] }
	| { kind: "fence"; open: string; lines: string[]; close: string }
	| { kind: "table"; head: string[]; rows: string[] };

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])\s+\S/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
/** A line in bold alone is a heading below all others; a line that opens in bold starts a paragraph ("**Costs.** Each …"). */
const BOLD_LINE = /^ {0,3}(?:\*\*|__)([^*_]+)(?:\*\*|__):?\s*$/;
const BOLD_START = /^ {0,3}\*\*\S/;
const INDENTED = /^(?: {4}|\t)/;
const RULE = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;

const blank = (line: string | undefined) => line === undefined || line.trim() === "";

/** Reads lines from `at`: the block that starts there and the line after it; nothing when this kind does not start there. */
type Reader = (lines: readonly string[], at: number) => { block: Block; next: number } | undefined;

const fence: Reader = (lines, at) => {
	const open = lines[at] ?? "";
	const mark = FENCE.exec(open)?.[1];
	if (mark === undefined) return undefined;
	const body = lines.slice(at + 1);
	const end = body.findIndex(
		(line) => line.trim().startsWith(mark) && line.trim().replaceAll(mark.charAt(0), "") === "",
	);
	const length = end < 0 ? body.length : end;
	// Without an end the fence takes the rest of the text, as CommonMark has it.
	return {
		block: { kind: "fence", open, lines: body.slice(0, length), close: body[length] ?? mark },
		next: at + length + 2,
	};
};

const heading: Reader = (lines, at) => {
	const line = lines[at] ?? "";
	const [, marks, text = ""] = HEADING.exec(line) ?? [];
	if (marks !== undefined) return { block: { kind: "heading", level: marks.length, text }, next: at + 1 };
	const bold = BOLD_LINE.exec(line)?.[1];
	if (bold !== undefined && blank(lines[at - 1]))
		return { block: { kind: "heading", level: 7, text: bold }, next: at + 1 };
	const underline = /^ {0,3}(=+|-+)\s*$/.exec(lines[at + 1] ?? "")?.[1];
	if (underline === undefined || blank(line) || !blank(lines[at - 1]) || ITEM.test(line) || line.includes("|"))
		return undefined;
	return { block: { kind: "heading", level: underline.startsWith("=") ? 1 : 2, text: line.trim() }, next: at + 2 };
};

const table: Reader = (lines, at) => {
	const [head = "", rule = ""] = lines.slice(at, at + 2);
	if (!head.includes("|") || !rule.includes("-") || !TABLE_RULE.test(rule)) return undefined;
	const rows = takeWhile(lines.slice(at + 2), (line) => line.includes("|"));
	return { block: { kind: "table", head: [head, rule], rows }, next: at + 2 + rows.length };
};

const list: Reader = (lines, at) => {
	if (!ITEM.test(lines[at] ?? "") || RULE.test(lines[at] ?? "")) return undefined;
	const items: string[] = [];
	let next = at;
	for (; next < lines.length; next += 1) {
		const line = lines[next] ?? "";
		const starts = ITEM.test(line);
		// A blank line ends the list unless an item or an indented line follows it.
		if (blank(line)) {
			const after = lines[next + 1] ?? "";
			if (!ITEM.test(after) && !/^\s{2,}\S/.test(after)) break;
		} else if (HEADING.test(line) || RULE.test(line)) break;
		else if (!starts && blank(lines[next - 1]) && !/^\s{2,}/.test(line)) break;
		if (starts) items.push(line);
		else items[items.length - 1] += `\n${line}`;
	}
	return { block: { kind: "list", items: items.map((item) => item.trimEnd()) }, next };
};

const indented: Reader = (lines, at) => {
	const items = takeWhile(lines.slice(at), (line) => INDENTED.test(line) || blank(line));
	while (blank(items.at(-1)) && items.length > 0) items.pop();
	return items.length === 0 ? undefined : { block: { kind: "list", items }, next: at + items.length };
};

const paragraph: Reader = (lines, at) => {
	const first = lines[at] ?? "";
	const goesOn = (line: string) =>
		![FENCE, HEADING, ITEM, BOLD_START].some((start) => start.test(line)) && !blank(line);
	const rest = takeWhile(lines.slice(at + 1), goesOn);
	return { block: { kind: "paragraph", text: [first, ...rest].join("\n").trimEnd() }, next: at + 1 + rest.length };
};

const READERS = {
	md: [fence, heading, table, list, indented, paragraph],
	txt: [list, paragraph],
} satisfies Record<string, Reader[]>;

/** The blocks of a text, in order. Plain text has paragraphs and lists only. Rules (`---`) and front matter go. */
export function blocks(text: string, format: "md" | "txt"): Block[] {
	const lines = (format === "md" ? text.replace(/^---\r?\n[\s\S]*?\r?\n---\r?\n/, "") : text).split(/\r?\n/);
	const found: Block[] = [];
	let at = 0;
	while (at < lines.length) {
		if (blank(lines[at]) || RULE.test(lines[at] ?? "")) {
			at += 1;
			continue;
		}
		for (const read of READERS[format]) {
			const result = read(lines, at);
			if (result === undefined) continue;
			found.push(result.block);
			at = result.next;
			break;
		}
	}
	return found;
}

function takeWhile(lines: readonly string[], wanted: (line: string) => boolean): string[] {
	const end = lines.findIndex((line) => !wanted(line));
	return lines.slice(0, end < 0 ? lines.length : end);
}
