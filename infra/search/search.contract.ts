import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Search } from "../../actors/retrieval/ports.ts";

/** A search engine that holds nothing yet. Its vectors have four dimensions. */
export type SearchUnderTest = { search: Search; close(): Promise<void> };
export const CONTRACT_DIMENSIONS = 4;

type Piece = { text: string; vector?: number[]; title?: string };

/** A document whose chunks are the pieces, in order; vectors point the same way unless they are given. */
export function documentOf(document_id: string, pieces: readonly Piece[], labels: readonly string[] = []) {
	return {
		document_id,
		title: `Title of ${document_id}`,
		labels,
		chunks: pieces.map(({ text, vector = [1, 0, 0, 0], ...title }, at) => ({
			chunk_id: `${document_id}#${at}`,
			text,
			tokens: text.split(" ").length,
			vector,
			...title,
		})),
	};
}

const open = { labels: [], limit: 10 };
const ids = (hits: readonly { chunk_id: string }[]) => hits.map(({ chunk_id }) => chunk_id);

/** What every engine behind the Search port has to do. */
export function searchContract(name: string, start: () => Promise<SearchUnderTest>): void {
	describe(`search contract: ${name}`, () => {
		let engine: SearchUnderTest;
		let search: Search;
		beforeEach(async () => {
			engine = await start();
			search = engine.search;
		});
		afterEach(() => engine.close());

		const lexical = async (text: string, labels: readonly string[] = [], tenant = "acme") =>
			ids(await search.lexical(tenant, { text, labels, limit: 10 }));
		const vector = async (values: number[], labels: readonly string[] = [], tenant = "acme") =>
			ids(await search.vector(tenant, { vector: values, labels, limit: 10 }));

		test("a hit carries all that was indexed; without its own title it has the document's", async () => {
			await search.index(
				"acme",
				documentOf("d", [{ text: "refunds take thirty days", title: "Terms › Refunds" }, { text: "shipping is free" }]),
			);
			expect(await search.lexical("acme", { text: "thirty", ...open })).toEqual([
				{
					chunk_id: "d#0",
					document_id: "d",
					title: "Terms › Refunds",
					text: "refunds take thirty days",
					tokens: 4,
					score: expect.any(Number),
				},
			]);
			expect(await search.lexical("acme", { text: "shipping", ...open })).toMatchObject([{ title: "Title of d" }]);
		});

		test("lexical: rarer and repeated words rank first, title counts, forms and case do not matter", async () => {
			await search.index(
				"acme",
				documentOf("a", [{ text: "refund refund refund" }, { text: "a refund among many other words of a long text" }]),
			);
			await search.index(
				"acme",
				documentOf("b", [{ text: "the harbour", title: "Mooring" }, { text: "REFUND policy" }]),
			);
			expect(await lexical("refund")).toHaveLength(3);
			expect((await lexical("refund"))[0]).toBe("a#0");
			expect((await lexical("the policy of a refund"))[0]).toBe("b#1");
			expect(await lexical("mooring")).toEqual(["b#0"]);
			const scores = (await search.lexical("acme", { text: "refund policy", ...open })).map(({ score }) => score);
			expect(scores).toEqual(scores.toSorted((x, y) => y - x));
			expect(scores.every((score) => score > 0)).toBe(true);
		});

		test("lexical: nothing that a person types is syntax", async () => {
			await search.index("acme", documentOf("d", [{ text: "the fence checks request.accepted near the tail" }]));
			const odd = [
				'"',
				'""',
				'fence"',
				"title:fence",
				"NEAR(fence tail)",
				"fence*",
				"-fence",
				"(fence",
				"fence AND",
				"fence\\",
				"{fence}",
				"fence\u0000",
				"^fence",
				"'; DROP TABLE chunk; --fence",
			];
			for (const text of odd.slice(2)) expect(await lexical(text), text).toEqual(["d#0"]);
			for (const text of ["", "   ", "🎉", "\ud800", "?!", ...odd.slice(0, 2)])
				expect(await lexical(text), text).toEqual([]);
			expect(await lexical("request.accepted")).toEqual(["d#0"]);
			expect(await lexical(`fence ${"x ".repeat(5_000)}`)).toEqual(["d#0"]);
		});

		test("vector: in order of cosine, whatever the length; the score is the cosine", async () => {
			await search.index(
				"acme",
				documentOf("d", [
					{ text: "opposite", vector: [-1, 0, 0, 0] },
					{ text: "near", vector: [1, 1, 0, 0] },
					{ text: "same", vector: [0.5, 0, 0, 0] },
					{ text: "across", vector: [0, 0, 1, 0] },
				]),
			);
			const hits = await search.vector("acme", { vector: [2, 0, 0, 0], ...open });
			expect(ids(hits)).toEqual(["d#2", "d#1", "d#3", "d#0"]);
			expect(hits.map(({ score }) => score)).toEqual([1, Math.SQRT1_2, 0, -1].map((value) => expect.closeTo(value, 3)));
		});

		test("the limit keeps the best", async () => {
			const pieces = Array.from({ length: 8 }, (_, at) => ({
				text: `word ${"filler ".repeat(at)}`,
				vector: [1, at, 0, 0],
			}));
			await search.index("acme", documentOf("d", pieces));
			expect(ids(await search.lexical("acme", { text: "word", labels: [], limit: 2 }))).toEqual(["d#0", "d#1"]);
			expect(ids(await search.vector("acme", { vector: [1, 0, 0, 0], labels: [], limit: 2 }))).toEqual(["d#0", "d#1"]);
		});

		test("labels: one in common opens, none on the document opens to the tenant, none on the query sees only those", async () => {
			await search.index("acme", documentOf("open", [{ text: "budget" }]));
			await search.index("acme", documentOf("finance", [{ text: "budget" }], ["finance", "board"]));
			await search.index("acme", documentOf("legal", [{ text: "budget" }], ["legal"]));
			for (const find of [
				(labels: string[]) => lexical("budget", labels),
				(labels: string[]) => vector([1, 0, 0, 0], labels),
			]) {
				expect((await find([])).sort()).toEqual(["open#0"]);
				expect((await find(["board"])).sort()).toEqual(["finance#0", "open#0"]);
				expect((await find(["legal", "finance"])).sort()).toEqual(["finance#0", "legal#0", "open#0"]);
				expect((await find(["fin", "*", "%", "finance,board", ""])).sort()).toEqual(["open#0"]);
			}
		});

		test("labels filter before the limit: hidden chunks never push out visible ones", async () => {
			await search.index(
				"acme",
				documentOf(
					"hidden",
					Array.from({ length: 30 }, () => ({ text: "budget budget", vector: [1, 0, 0, 0] })),
					["board"],
				),
			);
			await search.index(
				"acme",
				documentOf("mine", [{ text: "a budget among other words", vector: [0, 1, 0, 0] }], ["staff"]),
			);
			expect(ids(await search.lexical("acme", { text: "budget", labels: ["staff"], limit: 3 }))).toEqual(["mine#0"]);
			expect(ids(await search.vector("acme", { vector: [1, 0, 0, 0], labels: ["staff"], limit: 3 }))).toEqual([
				"mine#0",
			]);
		});

		test("[G4] tenants see nothing of each other, also with equal ids; an unknown tenant has no hits", async () => {
			await search.index("acme", documentOf("d", [{ text: "secret plan of acme" }]));
			await search.index("globex", documentOf("d", [{ text: "secret plan of globex" }]));
			for (const tenant of ["acme", "globex"]) {
				expect(await search.lexical(tenant, { text: "secret plan", ...open })).toMatchObject([
					{ text: `secret plan of ${tenant}` },
				]);
				expect(await search.vector(tenant, { vector: [1, 0, 0, 0], ...open })).toMatchObject([
					{ text: `secret plan of ${tenant}` },
				]);
			}
			await search.delete("globex", "d");
			expect(await lexical("secret")).toEqual(["d#0"]);
			expect(await lexical("secret", [], "nobody")).toEqual([]);
			expect(await vector([1, 0, 0, 0], [], "nobody")).toEqual([]);
		});

		test("index replaces: chunks, titles, vectors and labels of the old version are gone", async () => {
			await search.index(
				"acme",
				documentOf("d", [{ text: "old words" }, { text: "older words" }, { text: "oldest words" }], ["board"]),
			);
			await search.index("acme", documentOf("d", [{ text: "new words", vector: [0, 1, 0, 0] }]));
			expect(await lexical("words", ["board"])).toEqual(["d#0"]);
			expect(await lexical("old older oldest", ["board"])).toEqual([]);
			expect(await search.vector("acme", { vector: [1, 0, 0, 0], ...open })).toMatchObject([
				{ text: "new words", score: expect.closeTo(0, 3) },
			]);
		});

		test("a reader sees the old version or the new one, never both or neither", async () => {
			const version = (of: string) =>
				documentOf(
					"d",
					Array.from({ length: 20 }, () => ({ text: `all ${of}` })),
				);
			await search.index("acme", version("before"));
			const seen = new Set<string>();
			let writing = true;
			const read = async () => {
				while (writing) {
					for (const hits of [
						await search.lexical("acme", { text: "all", labels: [], limit: 50 }),
						await search.vector("acme", { vector: [1, 0, 0, 0], labels: [], limit: 50 }),
					]) {
						seen.add(`${hits.length} ${[...new Set(hits.map(({ text }) => text))].sort().join()}`);
					}
				}
			};
			const reading = read();
			for (let round = 0; round < 10; round += 1)
				await search.index("acme", version(round % 2 === 0 ? "after" : "before"));
			writing = false;
			await reading;
			for (const sight of seen) expect(["20 all before", "20 all after"]).toContain(sight);
		});

		test("delete removes from both searches, an unknown document is no error, indexing again works", async () => {
			await search.index("acme", documentOf("d", [{ text: "gone" }], ["x"]));
			await search.index("acme", documentOf("kept", [{ text: "gone but kept" }]));
			await search.delete("acme", "d");
			await search.delete("acme", "d");
			await search.delete("nobody", "d");
			expect(await lexical("gone", ["x"])).toEqual(["kept#0"]);
			expect(await vector([1, 0, 0, 0], ["x"])).toEqual(["kept#0"]);
			await search.index("acme", documentOf("d", [{ text: "gone and back" }]));
			expect((await lexical("gone")).sort()).toEqual(["d#0", "kept#0"]);
		});

		test("a document without chunks is held and found by nothing", async () => {
			await search.index("acme", documentOf("d", [{ text: "something" }]));
			await search.index("acme", documentOf("d", []));
			expect(await lexical("something")).toEqual([]);
		});

		test("malformed calls reject and say what was expected; nothing of them is stored", async () => {
			const bad = documentOf("d", [{ text: "fine" }, { text: "bad", vector: [1, 0] }]);
			await expect(search.index("acme", bad)).rejects.toThrow(/dimensions/);
			await expect(search.index("acme", documentOf("d", [{ text: "bad", vector: [0, 0, 0, 0] }]))).rejects.toThrow(
				/zero/,
			);
			await expect(
				search.index("acme", documentOf("d", [{ text: "bad", vector: [1, Number.NaN, 0, 0] }])),
			).rejects.toThrow(/finite/);
			await expect(search.vector("acme", { vector: [1], ...open })).rejects.toThrow(/4 dimensions, got 1/);
			for (const tenant of ["", "../acme", "a/b", "a.b", "a".repeat(65), "a\u0000"]) {
				await expect(search.lexical(tenant, { text: "x", ...open })).rejects.toThrow(/tenant/i);
				await expect(search.index(tenant, documentOf("d", []))).rejects.toThrow(/tenant/i);
				await expect(search.delete(tenant, "d")).rejects.toThrow(/tenant/i);
			}
			for (const limit of [0, -1, 1.5, 1e9]) {
				await expect(search.lexical("acme", { text: "x", labels: [], limit })).rejects.toThrow(/limit/i);
			}
			expect(await lexical("fine bad")).toEqual([]);
		});
	});
}
