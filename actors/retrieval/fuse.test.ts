import { expect, test } from "vitest";
import { fuse } from "./fuse.ts";

const list = (...ids: string[]) => ids.map((chunk_id) => ({ chunk_id, score: 1 }));
const order = (lists: Parameters<typeof fuse>[0]) => fuse(lists).map(({ item }) => item.chunk_id);

test("a chunk that both lists know beats the first of either", () => {
	expect(order({ lexical: list("a", "b"), vector: list("c", "b") })).toEqual(["b", "a", "c"]);
});

test("score is the sum of 1 / (60 + rank); ranks and scores are kept per list", () => {
	const lexical = [{ chunk_id: "a", score: 7.5 }, ...list("b")];
	const [first, second] = fuse({ lexical, vector: [{ chunk_id: "a", score: 0.4 }] });
	expect(first).toMatchObject({
		ranks: { lexical: 1, vector: 1 },
		scores: { lexical: 7.5, vector: 0.4 },
		score: 2 / 61,
	});
	expect(second).toMatchObject({ item: { chunk_id: "b" }, ranks: { lexical: 2 }, score: 1 / 62 });
});

test("equal scores keep the order of first appearance", () => {
	expect(order({ vector: list("z"), lexical: list("a") })).toEqual(["z", "a"]);
});

test("a list that repeats a chunk counts it once", () => {
	expect(fuse({ lexical: list("a", "a", "b") }).map(({ ranks, score }) => [ranks, score])).toEqual([
		[{ lexical: 1 }, 1 / 61],
		[{ lexical: 3 }, 1 / 63],
	]);
});

test("no list, or only empty ones, fuse to nothing", () => {
	expect(fuse({})).toEqual([]);
	expect(fuse({ lexical: [], vector: [] })).toEqual([]);
});
