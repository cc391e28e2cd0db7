import { type Block, blocks } from "./blocks.ts";
import { type CountTokens, splitBlock } from "./split-block.ts";

/** Tokens of a chunk's text: `target` is what small neighbours are joined up to, `maximum` what no chunk exceeds. */
export type ChunkLimits = { target: number; maximum: number };

export type TextChunk = { chunk_id: string; title: string; text: string; tokens: number };

/** Between the parts of a title. */
const PATH = " › ";

const HEADING_CHARACTERS = 120;

const LIMITS: ChunkLimits = { target: 220, maximum: 400 };

/**
 * Splits a document by its structure, without overlap. A chunk never crosses a heading; its title is the document's and
 * the path of headings ("DESIGN.md › 2. The log"). Paragraphs, lists, fences and tables stay whole while they fit into
 * `maximum`. Pure: the same text gives the same chunks with the same ids, `<document_id>#<ordinal>` from 0, in reading order.
 */
export function chunk(
	document: { document_id: string; title: string; format: "md" | "txt"; text: string },
	count: CountTokens,
	limits: ChunkLimits = LIMITS,
): TextChunk[] {
	const path: string[] = [];
	const chunks: TextChunk[] = [];
	let section: Block[] = [];
	const flush = () => {
		const title = [document.title, ...path.filter((heading) => heading !== "" && heading !== document.title)].join(
			" › ",
		);
		for (const text of joinBlocks(section, count, limits)) {
			chunks.push({ chunk_id: `${document.document_id}#${chunks.length}`, title, text, tokens: count(text) });
		}
		section = [];
	};
	for (const block of blocks(document.text, document.format)) {
		if (block.kind !== "heading") {
			section.push(block);
			continue;
		}
		flush();
		path.length = Math.min(path.length, block.level - 1);
		// A skipped level leaves a gap, which is no part of the path.
		while (path.length < block.level - 1) path.push("");
		path.push(plain(block.text));
	}
	flush();
	return chunks;
}

/**
 * What to embed of a chunk: its nearest heading and its text. The whole path would make all chunks of a document alike.
 */
export function embeddingText({ title, text }: Pick<TextChunk, "title" | "text">): string {
	return `${title.split(PATH).at(-1)}. ${text}`;
}

/** The texts of one section: blocks joined up to the target, too long ones in pieces. */
function joinBlocks(section: readonly Block[], count: CountTokens, { target, maximum }: ChunkLimits): string[] {
	const texts: string[] = [];
	let held = "";
	for (const [at, block] of section.entries()) {
		const pieces = splitBlock(block, { target, maximum }, count).flat();
		for (const piece of pieces) {
			const joined = held === "" ? piece : `${held}\n\n${piece}`;
			const introduces = isIntroduction(section[at - 1], held);
			if (held !== "" && count(joined) > (introduces ? maximum : target)) {
				texts.push(held);
				held = piece;
			} else held = joined;
		}
	}
	if (held !== "") texts.push(held);
	return texts;
}

/** "These are the parts:" says nothing without what follows it. */
function isIntroduction(block: Block | undefined, held: string): boolean {
	return (
		block?.kind === "paragraph" && held === block.text && block.text.length < 200 && /[:*]$/.test(block.text.trimEnd())
	);
}

/** A heading without the signs of its markup. A line of a thousand letters is no title, so it is cut. */
function plain(heading: string): string {
	const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]|(?<!\w)_|_(?!\w)/g, "");
	return text.trim().slice(0, HEADING_CHARACTERS);
}
