import { describe, expect, test } from "vitest";
import type { Documents } from "../documents.ts";
import { insert, newTenant, remove, replace } from "./changes.ts";

/**
 * The part of the contract about lists, names and values; `documents.contract.ts` calls it. `documents` gives the store
 * once the tests run.
 */
export function documentsListContract(documents: () => Documents): void {
	describe("lists", () => {
		test("every document of the kind comes once, in order of id by code point", async () => {
			const tenant = await filled(AWKWARD.toReversed());
			expect(await ids(tenant, { limit: 99 })).toEqual(AWKWARD);
			expect(await documents().list(tenant, "note", { limit: 1 })).toEqual([
				{ id: AWKWARD[0], value: AWKWARD[0], version: 1 },
			]);
			expect(await documents().list(tenant, "other", { limit: 99 })).toEqual([]);
		});

		test.each([1, 2, 3, 7])("pages of %i give every document once, in order", async (limit) => {
			const tenant = await filled(AWKWARD);
			const seen: string[] = [];
			// A cursor that stands still must end in a red test, not in an endless one.
			for (let pages = 0; pages <= AWKWARD.length; pages++) {
				const page = await ids(tenant, { after: seen.at(-1) ?? "", limit });
				expect(page.length).toBeLessThanOrEqual(limit);
				seen.push(...page);
				if (page.length < limit) break;
			}
			expect(seen).toEqual(AWKWARD);
		});

		test("a cursor is exclusive and need not be the id of a document", async () => {
			const tenant = await filled(["a", "b", "d"]);
			expect(await ids(tenant, { after: "b", limit: 9 })).toEqual(["d"]);
			expect(await ids(tenant, { after: "c", limit: 9 })).toEqual(["d"]);
			await documents().commit(tenant, [remove("b")]);
			expect(await ids(tenant, { after: "b", limit: 9 })).toEqual(["d"]);
			expect(await ids(tenant, { after: "d", limit: 9 })).toEqual([]);
		});

		test.each([...AWKWARD, "", "z", "\u{10FFFF}\u{10FFFF}", "a%", "A"])(
			"prefix %j means itself, letter by letter",
			async (prefix) => {
				const tenant = await filled(AWKWARD);
				const expected = AWKWARD.filter((id) => id.startsWith(prefix));
				expect(await ids(tenant, { prefix, limit: 99 })).toEqual(expected);
				expect(await ids(tenant, { prefix, after: expected[0] ?? "", limit: 99 })).toEqual(expected.slice(1));
				expect(await ids(tenant, { prefix, after: "\u{10FFFF}\u{10FFFF}\u{10FFFF}", limit: 99 })).toEqual([]);
			},
		);

		test("a prefix that starts after the cursor, or before it, bounds the list all the same", async () => {
			const tenant = await filled(["a1", "b1", "b2", "c1"]);
			expect(await ids(tenant, { prefix: "b", after: "a", limit: 9 })).toEqual(["b1", "b2"]);
			expect(await ids(tenant, { prefix: "b", after: "b1", limit: 9 })).toEqual(["b2"]);
			expect(await ids(tenant, { prefix: "b", after: "c", limit: 9 })).toEqual([]);
		});

		test("a limit below 1, or one that is no whole number, rejects", async () => {
			for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
				await expect(ids("t", { limit })).rejects.toThrow(/limit is expected/);
			}
		});
	});

	describe("indexes", () => {
		test("an index finds the documents that declare its value, in order, by page and by prefix", async () => {
			const tenant = newTenant();
			for (const id of ["b2", "a1", "b1", "c1"]) {
				await documents().commit(tenant, [insert(id, id, { owner: id === "c1" ? "bob" : "ann", state: "open" })]);
			}
			const index = ["owner", "ann"] as const;
			expect(await ids(tenant, { index, limit: 9 })).toEqual(["a1", "b1", "b2"]);
			expect(await ids(tenant, { index, limit: 2 })).toEqual(["a1", "b1"]);
			expect(await ids(tenant, { index, after: "b1", limit: 2 })).toEqual(["b2"]);
			expect(await ids(tenant, { index, prefix: "b", limit: 9 })).toEqual(["b1", "b2"]);
			expect(await ids(tenant, { index: ["state", "open"], limit: 9 })).toEqual(["a1", "b1", "b2", "c1"]);
			expect(await documents().list(tenant, "note", { index: ["owner", "bob"], limit: 9 })).toEqual([
				{ id: "c1", value: "c1", version: 1 },
			]);
		});

		test("name, value and kind of an index are each compared whole", async () => {
			const tenant = newTenant();
			await documents().commit(tenant, [
				insert("1", "1", { "a.b": "c" }),
				insert("2", "2", { a: "b.c" }),
				insert("3", "3", { $a: "%" }),
				insert("4", "4", { a: "B.c" }),
				{ ...insert("5", "5", { a: "b.c" }), kind: "other" },
			]);
			expect(await ids(tenant, { index: ["a.b", "c"], limit: 9 })).toEqual(["1"]);
			expect(await ids(tenant, { index: ["a", "b.c"], limit: 9 })).toEqual(["2"]);
			expect(await ids(tenant, { index: ["$a", "%"], limit: 9 })).toEqual(["3"]);
			expect(await ids(tenant, { index: ["a", "%"], limit: 9 })).toEqual([]);
			expect(await ids(tenant, { index: ["a", "b"], limit: 9 })).toEqual([]);
		});

		test("a replace moves the document to what it declares, and out of what it does not", async () => {
			const tenant = newTenant();
			const by = (name: string, value: string) => ids(tenant, { index: [name, value], limit: 9 });
			await documents().commit(tenant, [insert("a", "a", { owner: "ann", state: "open" })]);
			await documents().commit(tenant, [replace("a", "a", 1, { owner: "bob", state: "open", place: "here" })]);
			expect(
				await Promise.all([by("owner", "ann"), by("owner", "bob"), by("state", "open"), by("place", "here")]),
			).toEqual([[], ["a"], ["a"], ["a"]]);
			await documents().commit(tenant, [replace("a", "a", 2)]);
			expect(await Promise.all([by("owner", "bob"), by("state", "open"), by("place", "here")])).toEqual([[], [], []]);
		});

		test("a removed document leaves its indexes, also when it comes back without them", async () => {
			const tenant = newTenant();
			const index = ["owner", "ann"] as const;
			await documents().commit(tenant, [insert("a", "a", { owner: "ann" }), insert("b", "b", { owner: "ann" })]);
			await documents().commit(tenant, [remove("a")]);
			expect(await ids(tenant, { index, limit: 9 })).toEqual(["b"]);
			await documents().commit(tenant, [insert("a", "a")]);
			expect(await ids(tenant, { index, limit: 9 })).toEqual(["b"]);
			await documents().commit(tenant, [replace("a", "a", 1, { owner: "ann" })]);
			expect(await ids(tenant, { index, limit: 9 })).toEqual(["a", "b"]);
		});
	});

	describe("names and values", () => {
		test("ids that only look alike are different documents", async () => {
			const tenant = await filled(ALIKE);
			for (const id of ALIKE) expect(await documents().get(tenant, "note", id)).toMatchObject({ id, value: id });
			for (const kind of ALIKE) {
				await documents().commit(tenant, [{ op: "insert", kind, id: "x", value: kind }]);
			}
			for (const kind of ALIKE) {
				expect(await documents().list(tenant, kind, { limit: 9 })).toEqual([{ id: "x", value: kind, version: 1 }]);
			}
		});

		test("a name that is empty, too long or no text rejects and says which", async () => {
			for (const name of ["", "x".repeat(513), "\ud800"]) {
				await expect(documents().get("t", name, "a")).rejects.toThrow(/the kind is expected/);
				await expect(documents().get("t", "note", name)).rejects.toThrow(/the id is expected/);
				await expect(documents().list("t", name, { limit: 1 })).rejects.toThrow(/the kind is expected/);
				await expect(ids("t", { index: ["owner", name], limit: 1 })).rejects.toThrow(/value of index "owner"/);
				await expect(ids("t", { index: [name, "ann"], limit: 1 })).rejects.toThrow(/name of an index/);
				await expect(documents().commit("t", [insert(name, name)])).rejects.toThrow(/the id is expected/);
				await expect(documents().commit("t", [insert("a", "a", { owner: name })])).rejects.toThrow(
					/value of index "owner"/,
				);
			}
			await expect(ids("t", { prefix: "\ud800", limit: 1 })).rejects.toThrow(/prefix is expected/);
			await expect(ids("t", { after: "x".repeat(513), limit: 1 })).rejects.toThrow(/after is expected/);
		});

		const values = [
			null,
			false,
			true,
			0,
			-1.5,
			1e300,
			Number.MAX_SAFE_INTEGER,
			"",
			"a\u0000b",
			"grüße 🙂",
			[],
			{},
			[[null], { a: [] }],
		];
		test.each(values.map((value) => ({ value })))("$value is read as it was stored", async ({ value }) => {
			const tenant = newTenant();
			const nested = { deep: [value, { value }], "dotted.key": value, $dollar: value };
			await documents().commit(tenant, [insert("a", value), insert("b", nested)]);
			expect(await documents().get(tenant, "note", "a")).toEqual({ id: "a", value, version: 1 });
			expect(await documents().get(tenant, "note", "b")).toEqual({ id: "b", value: nested, version: 1 });
		});

		test("a property that is undefined is left out, and what is read is the reader's own copy", async () => {
			const tenant = newTenant();
			const value = { list: [1], gone: undefined };
			await documents().commit(tenant, [insert("a", value)]);
			value.list.push(2);
			const first = await documents().get<{ list: number[] }>(tenant, "note", "a");
			expect(first?.value).toStrictEqual({ list: [1] });
			first?.value.list.push(3);
			expect((await documents().get(tenant, "note", "a"))?.value).toStrictEqual({ list: [1] });
		});

		const cycle: Record<string, unknown> = {};
		cycle.self = cycle;
		const unfit: [unknown, RegExp][] = [
			[undefined, /value is undefined/],
			[() => 1, /value is a function/],
			[{ a: [1, undefined] }, /value\.a\[1\] is undefined/],
			[{ a: { b: 1n } }, /value\.a\.b is a bigint/],
			[{ a: Number.NaN }, /value\.a is NaN/],
			[[Number.POSITIVE_INFINITY], /value\[0\] is Infinity/],
			[{ at: new Date(0) }, /value\.at is a Date/],
			[{ seen: new Map([[1, 2]]) }, /value\.seen is a Map/],
			[{ toJSON: () => 1 }, /value\.toJSON is a function/],
			[cycle, /holds itself/],
		];
		test.each(unfit)("%o is refused as a value, by name, and nothing of the commit happens", async (value, message) => {
			const tenant = newTenant();
			await documents().commit(tenant, [insert("a", "a")]);
			await expect(documents().commit(tenant, [insert("b", "b"), insert("c", value)])).rejects.toThrow(message);
			await expect(documents().commit(tenant, [replace("a", value, 1)])).rejects.toThrow(message);
			expect(await ids(tenant, { limit: 9 })).toEqual(["a"]);
		});

		test("an amount, ceiling or version that is no safe integer rejects", async () => {
			const counter = { kind: "note", id: "n" };
			for (const wrong of [0.5, Number.NaN, 2 ** 53]) {
				const add = { op: "add", ...counter, by: wrong } as const;
				await expect(documents().commit("t", [add])).rejects.toThrow(/"by" is expected/);
				const bounded = { op: "add", ...counter, by: 1, ceiling: wrong } as const;
				await expect(documents().commit("t", [bounded])).rejects.toThrow(/"ceiling" is expected/);
				const stale = { op: "replace", ...counter, value: 1, version: wrong } as const;
				await expect(documents().commit("t", [stale])).rejects.toThrow(/"version" is expected/);
			}
		});
	});

	/** A tenant that has one document for every id, in the order given, with the id as its value. */
	async function filled(all: readonly string[]): Promise<string> {
		const tenant = newTenant();
		await documents().commit(
			tenant,
			all.map((id) => insert(id, id)),
		);
		return tenant;
	}

	async function ids(tenant: string, where: Parameters<Documents["list"]>[2]): Promise<string[]> {
		return (await documents().list(tenant, "note", where)).map(({ id }) => id);
	}
}

/** In order of code point, which is not that of UTF-16: U+FFFD comes before U+1F642. Wildcards of LIKE, quotes, a NUL, prefixes of each other. */
const AWKWARD = [
	" ",
	"%",
	"%a",
	"'; --",
	"A",
	"_",
	"_a",
	"a",
	"a\u0000b",
	"a ",
	"a%b",
	"a_b",
	"ab",
	"b",
	"é",
	"\ud7ff",
	"\ud7ffx",
	"\ue000",
	"\ufffd",
	"🙂",
	"🙂🙃",
	"\u{10FFFF}",
	"\u{10FFFF}x",
];
/** Case, blanks, composed and decomposed forms, and the longest id that is allowed. */
const ALIKE = [
	"a",
	"A",
	"a ",
	" a",
	"a\u0000",
	"é",
	"e\u0301",
	"ﬁ",
	"fi",
	"1",
	"01",
	"1.0",
	"x".repeat(511),
	"x".repeat(512),
];
