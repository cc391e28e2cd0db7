import { afterAll, beforeAll, expect, test } from "vitest";
import { openEmbeddings } from "./embeddings.ts";

let embeddings: ReturnType<typeof openEmbeddings>;
beforeAll(() => {
	embeddings = openEmbeddings();
});
afterAll(() => embeddings.close());

const cosine = (a: readonly number[] = [], b: readonly number[] = []) =>
	a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

test("vectors have the promised length, in dimensions and in norm", async () => {
	const vectors = await embeddings.embed([
		"How are refunds paid?",
		"",
		"🎉",
		"\u0000",
		"\ud800",
		"word ".repeat(1_000),
	]);
	for (const vector of vectors) {
		expect(vector).toHaveLength(embeddings.dimensions);
		expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
	}
});

test("no texts, no vectors", async () => {
	expect(await embeddings.embed([])).toEqual([]);
});

test("near in meaning is near in angle", async () => {
	const [question, same, other] = await embeddings.embed([
		"How do I get my money back?",
		"Can I have a refund?",
		"The harbour lies north of the town.",
	]);
	expect(cosine(question, same)).toBeGreaterThan(cosine(question, other) + 0.2);
});

test("order is kept over runs of the model, and a text's vector does not depend on its company", async () => {
	const texts = Array.from({ length: 40 }, (_, at) => `Sentence number ${at} ${"about ships ".repeat(at % 5)}`);
	const together = await embeddings.embed(texts);
	expect(together).toHaveLength(texts.length);
	for (const at of [0, 17, 39]) {
		const [alone] = await embeddings.embed([texts[at] ?? ""]);
		expect(cosine(alone, together[at])).toBeGreaterThan(0.9999);
	}
});

test("a small job overtakes a large one", async () => {
	const order: string[] = [];
	const large = embeddings.embed(Array.from({ length: 60 }, (_, at) => `Ingest ${at}`)).then(() => order.push("large"));
	const small = embeddings.embed(["a question"]).then(() => order.push("small"));
	await Promise.all([large, small]);
	expect(order).toEqual(["small", "large"]);
});

test("a long text is the mean of its pieces: both of its topics are in it", async () => {
	const refunds = "Refunds are paid to the card within thirty days. ".repeat(20);
	const ships = "The ship left the harbour with the tide at night. ".repeat(20);
	const [both, first, second] = await embeddings.embed([refunds + ships, refunds, ships]);
	expect(cosine(both, first)).toBeGreaterThan(0.6);
	expect(cosine(both, second)).toBeGreaterThan(0.6);
	expect(cosine(first, second)).toBeLessThan(0.5);
});

test("after closing, calls are refused", async () => {
	const closed = openEmbeddings();
	await closed.close();
	await expect(closed.embed(["late"])).rejects.toThrow(/closed/);
});
