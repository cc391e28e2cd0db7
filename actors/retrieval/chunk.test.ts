import fc from "fast-check";
import { expect, test } from "vitest";
import { chunk, embeddingText } from "./chunk.ts";

const count = (text: string) => text.split(/\s+/).filter((word) => word !== "").length;
const md = (text: string, limits = { target: 20, maximum: 40 }) =>
	chunk({ document_id: "d1", title: "guide.md", format: "md", text }, count, limits);
const sentence = (topic: string, length: number) => `${Array.from({ length }, (_, at) => `${topic}${at}`).join(" ")}.`;

test("the title is the document and the path of headings; ids count in reading order", () => {
	const chunks = md("Intro.\n\n# 1. Start\nOne.\n## `Set` **up**\nTwo.\n### Deep\nThree.\n# 2. End\nFour.");
	expect(chunks.map(({ chunk_id, title, text }) => [chunk_id, title, text])).toEqual([
		["d1#0", "guide.md", "Intro."],
		["d1#1", "guide.md › 1. Start", "One."],
		["d1#2", "guide.md › 1. Start › Set up", "Two."],
		["d1#3", "guide.md › 1. Start › Set up › Deep", "Three."],
		["d1#4", "guide.md › 2. End", "Four."],
	]);
});

test("underlined headings, a line in bold and skipped levels count as headings", () => {
	const chunks = md("Title\n=====\n\n### Far down\nOne.\n\n**Costs**\n\nTwo.\n\nPart\n----\nThree.");
	expect(chunks.map(({ title, text }) => [title, text])).toEqual([
		["guide.md › Title › Far down", "One."],
		["guide.md › Title › Far down › Costs", "Two."],
		["guide.md › Title › Part", "Three."],
	]);
});

test("a sign of a heading inside a fence is no heading", () => {
	const [only, ...more] = md("# Run\n```sh\n# not a heading\nls\n```");
	expect(more).toEqual([]);
	expect(only).toMatchObject({ title: "guide.md › Run", text: "```sh\n# not a heading\nls\n```" });
});

test("small paragraphs join up to the target, larger ones stand alone", () => {
	const chunks = md([sentence("a", 8), sentence("b", 8), sentence("c", 8), sentence("d", 30)].join("\n\n"));
	expect(chunks.map(({ tokens }) => tokens)).toEqual([16, 8, 30]);
});

test("a list, a table and a fence that fit stay whole, also above the target", () => {
	const list = Array.from({ length: 6 }, (_, at) => `- ${sentence(`i${at}`, 5)}`).join("\n");
	const table = `| name | value |\n|---|---|\n${Array.from({ length: 5 }, (_, at) => `| n${at} | v${at} |`).join("\n")}`;
	const fence = `\`\`\`ts\n${sentence("code", 30)}\n\`\`\``;
	const chunks = md([list, table, fence].join("\n\n"));
	expect(chunks.map(({ text }) => text)).toEqual([list, table, fence]);
});

test("a list that does not fit is cut between items, continuation lines stay with theirs", () => {
	const items = Array.from({ length: 6 }, (_, at) => `- ${sentence(`i${at}`, 7)}\n  ${sentence(`more${at}`, 4)}`);
	const chunks = md(items.join("\n"));
	expect(chunks.map(({ text }) => text).join("\n")).toBe(items.join("\n"));
	for (const { text } of chunks) expect(text).toMatch(/^- i\d0/);
});

test("each piece of a table that does not fit repeats its head, each piece of a fence is a fence", () => {
	const head = "| name | value |\n|---|---|";
	const rows = Array.from({ length: 20 }, (_, at) => `| n${at} | v${at} |`);
	const tables = md([head, ...rows].join("\n"));
	expect(tables.length).toBeGreaterThan(2);
	for (const { text } of tables) expect(text.startsWith(`${head}\n| n`)).toBe(true);
	expect(tables.flatMap(({ text }) => text.split("\n").slice(2))).toEqual(rows);

	const lines = Array.from({ length: 30 }, (_, at) => `const line${at} = ${at};`);
	const fences = md(["```ts", ...lines, "```"].join("\n"));
	for (const { text } of fences) expect(text).toMatch(/^```ts\n[\s\S]+\n```$/);
	expect(fences.flatMap(({ text }) => text.split("\n").slice(1, -1))).toEqual(lines);
});

test("a paragraph that does not fit is cut between sentences, a sentence between words, a word anywhere", () => {
	const sentences = [sentence("a", 15), sentence("b", 15), sentence("c", 15)];
	expect(md(sentences.join(" ")).map(({ text }) => text)).toEqual(sentences);
	const words = md(sentence("w", 100));
	expect(words.every(({ tokens }) => tokens <= 20)).toBe(true);
	const letters = chunk(
		{ document_id: "d", title: "t", format: "txt", text: "字".repeat(100) },
		(text) => [...text].length,
		{
			target: 20,
			maximum: 40,
		},
	);
	expect(letters.map(({ text }) => text).join("")).toBe("字".repeat(100));
	expect(letters.every(({ tokens }) => tokens <= 40)).toBe(true);
});

test("an introduction stays with what it introduces", () => {
	const [first] = md(`These are the parts:\n\n${sentence("part", 25)}`);
	expect(first?.text).toMatch(/^These are the parts:\n\npart0/);
});

test("plain text has paragraphs and lists, its signs mean nothing else", () => {
	const chunks = chunk(
		{ document_id: "d", title: "notes.txt", format: "txt", text: "# 1 of 3\nOne.\n\n- a\n- b" },
		count,
	);
	expect(chunks).toEqual([{ chunk_id: "d#0", title: "notes.txt", text: "# 1 of 3\nOne.\n\n- a\n- b", tokens: 9 }]);
});

test("front matter, rules and empty sections make no chunk", () => {
	expect(md("---\ntitle: x\n---\n# A\n\n---\n\n# B\n")).toEqual([]);
	expect(md("")).toEqual([]);
});

test("whatever the text: every word is kept, no chunk passes the maximum, twice is the same", () => {
	const line = fc.oneof(
		fc.constantFrom(
			"",
			"# H",
			"## K",
			"- item",
			"  more",
			"| a | b |",
			"|---|---|",
			"```",
			"> quote",
			"**Bold**",
			"1. one",
			"    code",
		),
		fc.array(fc.constantFrom("word", "longer", "x.", "end?"), { maxLength: 60 }).map((words) => words.join(" ")),
	);
	fc.assert(
		fc.property(fc.array(line, { maxLength: 25 }), (lines) => {
			const text = lines.join("\n");
			const chunks = md(text);
			expect(md(text)).toEqual(chunks);
			for (const { tokens } of chunks) expect(tokens).toBeLessThanOrEqual(40);
			const wanted = text.match(/\b(?:word|longer|end|item|code|quote)\b/g)?.length ?? 0;
			const kept = chunks.flatMap((piece) => piece.text.match(/\b(?:word|longer|end|item|code|quote)\b/g) ?? []).length;
			expect(kept).toBeGreaterThanOrEqual(wanted);
		}),
		{ numRuns: 300 },
	);
});

test("what is embedded is the nearest heading and the text", () => {
	expect(embeddingText({ title: "guide.md › 1. Start › Set up", text: "Two." })).toBe("Set up. Two.");
	expect(embeddingText({ title: "guide.md", text: "One." })).toBe("guide.md. One.");
});
