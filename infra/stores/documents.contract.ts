import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Change, Documents, Refusal, Stored } from "./documents.ts";
import { add, insert, newTenant, remove, replace } from "./testing/changes.ts";
import { documentsListContract } from "./testing/documents-list.contract.ts";
import { commits, documentsModel, INDEXES, KINDS, type Outcome } from "./testing/documents-model.ts";
import { documentsRaceContract } from "./testing/documents-race.contract.ts";

/**
 * What every form of Documents does. `open` connects to one and the same store each time that it is called; the suite
 * does not expect it to be empty, since every test works in tenants of its own, and closes what it opened.
 */
export function documentsContract(name: string, open: () => Promise<Documents>): void {
	describe(name, () => {
		let documents: Documents;
		/** A second connection to the same store, as another process would have one. */
		let others: Documents;
		beforeAll(async () => {
			documents = await open();
			others = await open();
		});
		afterAll(async () => {
			await documents.close();
			await documents.close();
			await others.close();
		});

		describe("one change", () => {
			test("a document that was inserted is read with version 1, by every connection", async () => {
				const tenant = newTenant();
				expect(await documents.commit(tenant, [insert("a", { n: 1 })])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toEqual({ id: "a", value: { n: 1 }, version: 1 });
				expect(await others.get(tenant, "note", "a")).toEqual({ id: "a", value: { n: 1 }, version: 1 });
			});

			test("a document that was never inserted is undefined", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", 1)]);
				expect(await documents.get(tenant, "note", "b")).toBeUndefined();
				expect(await documents.get(tenant, "other", "a")).toBeUndefined();
			});

			test("a second insert is refused and changes nothing", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", "first")]);
				const again = insert("a", "second");
				expect(await documents.commit(tenant, [again])).toEqual({ refused: "exists", change: again });
				expect(await documents.get(tenant, "note", "a")).toMatchObject({ value: "first", version: 1 });
			});

			test("a replace of the version that stands is made and counts up", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", 1)]);
				expect(await documents.commit(tenant, [replace("a", 2, 1)])).toBe("done");
				expect(await documents.commit(tenant, [replace("a", 3, 2)])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toEqual({ id: "a", value: 3, version: 3 });
			});

			test("a replace of another version, or of nothing, is refused", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", 1)]);
				await documents.commit(tenant, [replace("a", 2, 1)]);
				const [stale, early, absent] = [replace("a", 9, 1), replace("a", 9, 3), replace("b", 9, 1)];
				expect(await documents.commit(tenant, [stale])).toEqual({ refused: "version", change: stale });
				expect(await documents.commit(tenant, [early])).toEqual({ refused: "version", change: early });
				expect(await documents.commit(tenant, [absent])).toEqual({ refused: "missing", change: absent });
				expect(await documents.get(tenant, "note", "a")).toMatchObject({ value: 2, version: 2 });
				expect(await documents.get(tenant, "note", "b")).toBeUndefined();
			});

			test("a removed document is gone, and an insert of the same id starts at version 1", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", 1)]);
				await documents.commit(tenant, [replace("a", 2, 1)]);
				expect(await documents.commit(tenant, [remove("a")])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toBeUndefined();
				expect(await documents.commit(tenant, [remove("a")])).toEqual({ refused: "missing", change: remove("a") });
				await documents.commit(tenant, [insert("a", 3)]);
				expect(await documents.get(tenant, "note", "a")).toEqual({ id: "a", value: 3, version: 1 });
			});
		});

		describe("counters", () => {
			test("an add makes the counter, later ones add to it, down as well as up", async () => {
				const tenant = newTenant();
				for (const by of [5, 3, -10]) expect(await documents.commit(tenant, [add("a", by)])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toEqual({ id: "a", value: { value: -2 }, version: 3 });
			});

			test("the ceiling itself is reached and never passed", async () => {
				const tenant = newTenant();
				expect(await documents.commit(tenant, [add("a", 7, 10)])).toBe("done");
				expect(await documents.commit(tenant, [add("a", 4, 10)])).toEqual({
					refused: "ceiling",
					change: add("a", 4, 10),
				});
				expect(await documents.commit(tenant, [add("a", 3, 10)])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toMatchObject({ value: { value: 10 }, version: 2 });
			});

			test("a first add beyond the ceiling leaves no counter", async () => {
				const tenant = newTenant();
				expect(await documents.commit(tenant, [add("a", 11, 10)])).toMatchObject({ refused: "ceiling" });
				expect(await documents.get(tenant, "note", "a")).toBeUndefined();
			});

			test("a step down is made even from above the ceiling", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [add("a", 20)]);
				expect(await documents.commit(tenant, [add("a", -5, 10)])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toMatchObject({ value: { value: 15 } });
			});

			test("a counter can be inserted, replaced, listed and removed like any document", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", { value: 4 }, { owner: "ann" })]);
				await documents.commit(tenant, [add("a", 1)]);
				const counter = { id: "a", value: { value: 5 }, version: 2 };
				expect(await documents.list(tenant, "note", { index: ["owner", "ann"], limit: 9 })).toEqual([counter]);
				expect(await documents.commit(tenant, [replace("a", { value: 0 }, 2), add("a", 2), remove("a")])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toBeUndefined();
			});

			test("a counter that was added to leaves its indexes when it is removed", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("a", { value: 4 }, { owner: "ann" }), add("a", 1)]);
				await documents.commit(tenant, [remove("a"), insert("a", { value: 4 })]);
				expect(await documents.list(tenant, "note", { index: ["owner", "ann"], limit: 9 })).toEqual([]);
			});

			test("an add to what is no counter, or past exact numbers, rejects and undoes the commit", async () => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("text", { value: "5" }), insert("more", { value: 5, of: 9 })]);
				for (const id of ["text", "more"]) {
					await expect(documents.commit(tenant, [insert("b", 1), add(id, 1)])).rejects.toThrow(/to be a counter/);
				}
				await documents.commit(tenant, [add("full", Number.MAX_SAFE_INTEGER)]);
				await expect(documents.commit(tenant, [insert("b", 1), add("full", 1)])).rejects.toThrow(/exactly/);
				expect(await documents.get(tenant, "note", "b")).toBeUndefined();
				expect(await documents.get(tenant, "note", "text")).toMatchObject({ value: { value: "5" }, version: 1 });
			});
		});

		describe("several changes", () => {
			test("a commit may touch many documents of many kinds, and none at all", async () => {
				const tenant = newTenant();
				const changes = [insert("a", 1), { ...insert("a", 2), kind: "other" }, add("n", 3)];
				expect(await documents.commit(tenant, changes)).toBe("done");
				expect(await documents.get(tenant, "other", "a")).toMatchObject({ value: 2 });
				expect(await documents.get(tenant, "note", "n")).toMatchObject({ value: { value: 3 } });
				expect(await documents.commit(tenant, [])).toBe("done");
			});

			test("a later change sees the earlier ones of its commit", async () => {
				const tenant = newTenant();
				expect(await documents.commit(tenant, [insert("a", 1), replace("a", 2, 1), replace("a", 3, 2)])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toEqual({ id: "a", value: 3, version: 3 });
				expect(await documents.commit(tenant, [remove("a"), insert("a", 4)])).toBe("done");
				expect(await documents.get(tenant, "note", "a")).toEqual({ id: "a", value: 4, version: 1 });
			});

			const refusals: [Refusal["refused"], Change][] = [
				["exists", insert("stands", 9)],
				["version", replace("stands", 9, 7)],
				["missing", replace("absent", 9, 1)],
				["missing", remove("absent")],
				["ceiling", add("counter", 3, 5)],
			];
			test.each(refusals)("a change refused with %s undoes all that came before it: %o", async (refused, change) => {
				const tenant = newTenant();
				await documents.commit(tenant, [insert("stands", 1, { owner: "ann" }), insert("going", 1), add("counter", 3)]);
				const before = await contents(documents, tenant);
				const changes = [
					insert("new", 1),
					replace("stands", 2, 1, { owner: "bob" }),
					remove("going"),
					add("counter", 1),
				];
				// The commit itself is sound without the last change, so that only it can be what undoes the others.
				const last = change.op === "replace" && change.id === "stands" ? { ...change, version: 1 } : change;
				expect(await documents.commit(tenant, [...changes, last, insert("after", 1)])).toEqual({
					refused,
					change: last,
				});
				expect(await contents(documents, tenant)).toEqual(before);
				expect(await documents.list(tenant, "note", { index: ["owner", "bob"], limit: 9 })).toEqual([]);
				expect(await documents.commit(tenant, changes)).toBe("done");
			});
		});

		describe("tenants", () => {
			test("the same kinds, ids and index values of two tenants have nothing in common", async () => {
				const [ours, theirs] = [newTenant(), newTenant()];
				const of = (value: string) => insert("a", value, { owner: "ann" });
				expect(await documents.commit(ours, [of("ours"), add("n", 1)])).toBe("done");
				expect(await documents.get(theirs, "note", "a")).toBeUndefined();
				expect(await documents.list(theirs, "note", { limit: 9 })).toEqual([]);
				expect(await documents.list(theirs, "note", { index: ["owner", "ann"], limit: 9 })).toEqual([]);
				for (const change of [replace("a", 9, 1), remove("a")]) {
					expect(await documents.commit(theirs, [change])).toMatchObject({ refused: "missing" });
				}
				expect(await documents.commit(theirs, [of("theirs"), add("n", 5)])).toBe("done");
				expect(await documents.commit(theirs, [replace("a", "replaced", 1)])).toBe("done");
				expect(await documents.commit(theirs, [remove("n")])).toBe("done");
				expect(await documents.get(ours, "note", "a")).toEqual({ id: "a", value: "ours", version: 1 });
				expect(await documents.get(ours, "note", "n")).toMatchObject({ value: { value: 1 }, version: 1 });
				expect(await documents.list(ours, "note", { index: ["owner", "ann"], limit: 9 })).toHaveLength(1);
			});

			test("a tenant that is no token is refused by every call", async () => {
				for (const tenant of ["", "a.b", "a b", "a\n", "ä", "x".repeat(65)]) {
					await expect(documents.get(tenant, "note", "a")).rejects.toThrow(/tenant is expected/);
					await expect(documents.list(tenant, "note", { limit: 1 })).rejects.toThrow(/tenant is expected/);
					await expect(documents.commit(tenant, [insert("a", 1)])).rejects.toThrow(/tenant is expected/);
					await expect(documents.commit(tenant, [])).rejects.toThrow(/tenant is expected/);
				}
			});
		});

		documentsRaceContract(() => [documents, others]);
		documentsListContract(() => documents);

		test("any sequence of commits has the results and leaves the contents of a plain model", async () => {
			await fc.assert(
				fc.asyncProperty(commits, async (sequence) => {
					const model = documentsModel();
					const tenants = { one: newTenant(), two: newTenant() };
					for (const { tenant, changes } of sequence) {
						const answer = await outcome(documents, tenants[tenant], changes);
						expect(answer).toEqual(model.commit(tenant, changes));
					}
					for (const tenant of ["one", "two"] as const) {
						for (const kind of KINDS) {
							for (const index of [undefined, ...INDEXES]) {
								const where = { limit: 99, ...(index ? { index } : {}) };
								expect(await documents.list(tenants[tenant], kind, where)).toEqual(model.list(tenant, kind, index));
							}
						}
					}
				}),
				{ numRuns: 100 },
			);
		});
	});
}

const contents = (documents: Documents, tenant: string): Promise<Stored<unknown>[]> =>
	documents.list(tenant, "note", { limit: 99 });

/** The answer of a commit in the words of the model, which names the refused change by its place. */
async function outcome(documents: Documents, tenant: string, changes: readonly Change[]): Promise<Outcome> {
	try {
		const answer = await documents.commit(tenant, changes);
		return answer === "done" ? answer : { refused: answer.refused, at: changes.indexOf(answer.change) };
	} catch (error) {
		if (error instanceof Error && /to be a counter/.test(error.message)) return "rejected";
		throw error;
	}
}
