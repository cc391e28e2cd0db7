import type { Block } from "./blocks.ts";

/** Tokens of a text, by whatever tokenizer the model has; two texts joined never count more than both and what joins them. */
export type CountTokens = (text: string) => number;

export function blockText(block: Block): string {
	switch (block.kind) {
		case "heading":
		case "paragraph":
			return block.text;
		case "list":
			return block.items.join("\n");
		case "fence":
			return [block.open, ...block.lines, block.close].join("\n");
		case "table":
			return [...block.head, ...block.rows].join("\n");
	}
}

/** Where a block that does not fit is cut, and how a piece is made to stand alone. */
type Cut = { parts: readonly string[]; glue: string; wrap(text: string): string };

/**
 * The block whole when it has at most `maximum` tokens, otherwise in pieces of about `target`: a list between items, a
 * table between rows (each piece repeats the head), a fence between lines (each piece is a fence), a paragraph between
 * sentences. A single item, row, line or sentence over `maximum` is cut between words, a word between characters.
 */
export function splitBlock(block: Block, limits: { target: number; maximum: number }, count: CountTokens): string[] {
	const whole = blockText(block);
	return count(whole) <= limits.maximum ? [whole] : gather(cutOf(block), limits, count);
}

function cutOf(block: Block): Cut {
	switch (block.kind) {
		case "heading":
		case "paragraph":
			return proseCut(block.text);
		case "list":
			return { parts: block.items, glue: "\n", wrap: (text) => text };
		case "fence":
			return { parts: block.lines, glue: "\n", wrap: (text) => [block.open, text, block.close].join("\n") };
		case "table":
			return { parts: block.rows, glue: "\n", wrap: (text) => [...block.head, text].join("\n") };
	}
}

function proseCut(text: string): Cut {
	const wrap = (piece: string) => piece;
	const sentences = text.split(/(?<=[.!?;])\s+(?=\S)|\n+/u);
	if (sentences.length > 1) return { parts: sentences, glue: " ", wrap };
	const words = text.split(/\s+/u).filter((word) => word !== "");
	return words.length > 1 ? { parts: words, glue: " ", wrap } : { parts: [...text], glue: "", wrap };
}

/** Joins parts in order up to the target. Each part is counted once, so the cost grows with the text and no faster. */
function gather({ parts, glue, wrap }: Cut, limits: { target: number; maximum: number }, count: CountTokens): string[] {
	const around = count(wrap(""));
	// A head that leaves no room for what it heads is not repeated.
	const [dress, room] = around < limits.maximum / 2 ? [wrap, around] : [(text: string) => text, 0];
	const target = limits.target - room;
	const maximum = limits.maximum - room;
	const joint = count(glue);
	const pieces: string[] = [];
	let held: string[] = [];
	let tokens = 0;
	const flush = () => {
		if (held.length > 0) pieces.push(dress(held.join(glue)));
		held = [];
		tokens = 0;
	};
	for (const part of parts) {
		const more = count(part);
		if (tokens + joint + more > target) flush();
		if (more > maximum && [...part].length > 1) {
			pieces.push(...gather(proseCut(part), { target, maximum }, count).map(dress));
			continue;
		}
		held.push(part);
		tokens += joint + more;
	}
	flush();
	return pieces;
}
