import { expect, test } from "vitest";
import { pack } from "./pack.ts";

const text = (topic: string) => Array.from({ length: 12 }, (_, at) => `${topic}${at}`).join(" ");
const piece = (chunk_id: string, tokens = 10, body = text(chunk_id)) => ({
	chunk_id,
	document_id: chunk_id.split("#")[0] ?? "",
	text: body,
	tokens,
});
const ids = (packed: { n: number; chunk_id: string }[]) => packed.map(({ n, chunk_id }) => `${n} ${chunk_id}`);

test("citation numbers count from 1 in order of rank, and are the same every time", () => {
	const ranked = [piece("b#4"), piece("a#1"), piece("c#9")];
	expect(ids(pack(ranked, 100).packed)).toEqual(["1 b#4", "2 a#1", "3 c#9"]);
	expect(pack(ranked, 100)).toEqual(pack(ranked, 100));
});

test("the budget is never passed; a smaller chunk may still use what a larger one could not", () => {
	const { packed, dropped, tokens } = pack([piece("a#0", 60), piece("b#0", 60), piece("c#0", 30)], 100);
	expect(ids(packed)).toEqual(["1 a#0", "2 c#0"]);
	expect(dropped).toEqual([{ chunk_id: "b#0", reason: "budget" }]);
	expect(tokens).toBe(90);
});

test("what the prompt adds per chunk counts", () => {
	expect(pack([piece("a#0", 40), piece("b#0", 40)], 90, 5).tokens).toBe(90);
	expect(pack([piece("a#0", 40), piece("b#0", 40)], 89, 5).packed).toHaveLength(1);
});

test("a near duplicate of a better chunk goes, also when it is a part of it", () => {
	const body = text("same");
	const { packed, dropped } = pack(
		[piece("a#0", 10, body), piece("b#3", 10, `${body} again`), piece("c#1", 5, body.slice(0, 40)), piece("d#1")],
		100,
	);
	expect(ids(packed)).toEqual(["1 a#0", "2 d#1"]);
	expect(dropped).toEqual([
		{ chunk_id: "b#3", reason: "duplicate" },
		{ chunk_id: "c#1", reason: "duplicate" },
	]);
});

test("neighbours of a document stand in reading order at the place of the best of them", () => {
	const ranked = [piece("x#7"), piece("a#3"), piece("b#0"), piece("a#2"), piece("a#9"), piece("a#4")];
	expect(ids(pack(ranked, 1_000).packed)).toEqual(["1 x#7", "2 a#2", "3 a#3", "4 a#4", "5 b#0", "6 a#9"]);
});

test("ids without an ordinal keep the order of rank", () => {
	expect(ids(pack([piece("two"), piece("one")], 100).packed)).toEqual(["1 two", "2 one"]);
});

test("nothing ranked, or no room, packs nothing", () => {
	expect(pack([], 100)).toEqual({ packed: [], dropped: [], tokens: 0 });
	expect(pack([piece("a#0")], 5).packed).toEqual([]);
});
