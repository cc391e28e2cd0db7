import { expect, test } from "vitest";
import { fuse } from "./fuse.ts";
import { rerank } from "./rerank.ts";

const document = (chunk_id: string, text: string, score: number, title = "Handbook") => ({
	chunk_id,
	title,
	text,
	score,
});
const query = "How long are refunds for damaged goods open?";
const answer = "Refunds for damaged goods stay open for thirty days after delivery.";
const unrelated = "The library has a reading room with a view of the harbour and a small café.";

test("a direct answer is near 1, an unrelated text near 0", () => {
	const fused = fuse({
		lexical: [document("yes", answer, 9, "Handbook › Refunds")],
		vector: [document("yes", answer, 0.72, "Handbook › Refunds"), document("no", unrelated, 0.2)],
	});
	const [first, last] = rerank(query, fused);
	expect(first).toMatchObject({ item: { chunk_id: "yes" } });
	expect(first?.rerank_score).toBeGreaterThan(0.85);
	expect(first?.rerank_score).toBeLessThanOrEqual(1);
	expect(last?.rerank_score).toBeLessThan(0.05);
});

test("strength does not depend on being the best of a bad lot", () => {
	const [only] = rerank(
		query,
		fuse({ lexical: [document("no", unrelated, 0.3)], vector: [document("no", unrelated, 0.25)] }),
	);
	expect(only?.rerank_score).toBeLessThan(0.05);
});

test("words that stand together beat the same words far apart", () => {
	const far = answer.split(" ").join(` ${"and so on ".repeat(12)}`);
	const [first, second] = rerank(query, fuse({ lexical: [document("far", far, 5), document("near", answer, 5)] }));
	expect(first?.item.chunk_id).toBe("near");
	expect((first?.rerank_score ?? 0) - (second?.rerank_score ?? 0)).toBeGreaterThan(0.2);
});

test("more of the query's words, a word in the title, a better BM25 and a better cosine each raise the score", () => {
	const score = (candidate: ReturnType<typeof document>, list = "lexical") => {
		const fused = fuse({ [list]: [document("best", unrelated, 10), candidate] });
		return rerank(query, fused).find(({ item }) => item.chunk_id === candidate.chunk_id)?.rerank_score ?? 0;
	};
	expect(score(document("a", answer, 5))).toBeGreaterThan(score(document("b", "Refunds are made in person.", 5)));
	expect(score(document("a", answer, 5, "Refunds"))).toBeGreaterThan(score(document("b", answer, 5)));
	expect(score(document("a", answer, 9))).toBeGreaterThan(score(document("b", answer, 5)));
	expect(score(document("a", unrelated, 0.7), "vector")).toBeGreaterThan(
		score(document("b", unrelated, 0.5), "vector"),
	);
});

test("a match by meaning alone stays at one half", () => {
	const [only] = rerank(
		query,
		fuse({ vector: [document("a", "Money back within a month if it arrives broken.", 0.95)] }),
	);
	expect(only?.rerank_score).toBe(0.5);
});

test("what every text of a long vector list has in common with the query is no evidence", () => {
	const vector = Array.from({ length: 30 }, (_, at) => document(`c${at}`, unrelated, 0.7 - at / 1_000));
	const all = rerank(query, fuse({ vector }));
	expect(Math.max(...all.map(({ rerank_score }) => rerank_score))).toBeLessThan(0.15);
});

test("words match over their forms", () => {
	const [only] = rerank(
		"retrying idempotent writes",
		fuse({ lexical: [document("a", "A retry writes once: idempotency.", 1)] }),
	);
	expect(only?.rerank_score).toBeGreaterThan(0.6);
});

test("lists of further rewrites count as their kind", () => {
	const [only] = rerank(
		query,
		fuse({ "lexical:2": [document("a", answer, 4)], "vector:2": [document("a", answer, 0.75)] }),
	);
	expect(only?.rerank_score).toBeGreaterThan(0.9);
});

test("no candidates, no query words and odd scores give no NaN", () => {
	expect(rerank(query, [])).toEqual([]);
	const fused = fuse({ lexical: [document("a", "", 0)], vector: [document("a", "", -1)] });
	for (const text of ["", "???", "the of", query]) expect(rerank(text, fused)[0]?.rerank_score).toBe(0);
});
