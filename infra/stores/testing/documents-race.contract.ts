import { describe, expect, test } from "vitest";
import type { Documents } from "../documents.ts";
import { add, insert, newTenant, refusedWith, replace } from "./changes.ts";

/**
 * The part of the contract about commits that meet; `documents.contract.ts` calls it. `connections` gives two
 * connections to one store once the tests run.
 */
export function documentsRaceContract(connections: () => readonly [Documents, Documents]): void {
	describe("races over two connections", () => {
		const twenty = Array.from({ length: 20 }, (_, at) => at);
		const either = (at: number): Documents => connections()[at % 2 === 0 ? 0 : 1];

		test("of many inserts of one id exactly one is made", async () => {
			const tenant = newTenant();
			const answers = await Promise.all(twenty.map((at) => either(at).commit(tenant, [insert("a", at)])));
			expect(answers.filter((answer) => answer === "done")).toHaveLength(1);
			expect(refusedWith(answers)).toEqual(["exists"]);
			expect(await connections()[0].get(tenant, "note", "a")).toEqual({
				id: "a",
				value: answers.indexOf("done"),
				version: 1,
			});
		});

		test("of many replaces of one version exactly one is made", async () => {
			const tenant = newTenant();
			await connections()[0].commit(tenant, [insert("a", "first")]);
			const answers = await Promise.all(twenty.map((at) => either(at).commit(tenant, [replace("a", at, 1)])));
			expect(answers.filter((answer) => answer === "done")).toHaveLength(1);
			expect(refusedWith(answers)).toEqual(["version"]);
			expect(await connections()[0].get(tenant, "note", "a")).toEqual({
				id: "a",
				value: answers.indexOf("done"),
				version: 2,
			});
		});

		test("[I6] a ceiling admits exactly as many as fit", async () => {
			const tenant = newTenant();
			const answers = await Promise.all(twenty.map((at) => either(at).commit(tenant, [add("a", 3, 17)])));
			expect(answers.filter((answer) => answer === "done")).toHaveLength(5);
			expect(refusedWith(answers)).toEqual(["ceiling"]);
			expect(await connections()[0].get(tenant, "note", "a")).toMatchObject({ value: { value: 15 }, version: 5 });
		});

		test("transfers in both directions neither reject nor lose anything", async () => {
			const tenant = newTenant();
			await connections()[0].commit(tenant, [add("a", 100), add("b", 100)]);
			const answers = await Promise.all(
				twenty.map((at) => {
					const [from, to] = at % 3 === 0 ? ["a", "b"] : ["b", "a"];
					return either(at).commit(tenant, [add(from ?? "", -at), add(to ?? "", at)]);
				}),
			);
			expect(answers.every((answer) => answer === "done")).toBe(true);
			const [a, b] = await connections()[0].list<{ value: number }>(tenant, "note", { limit: 9 });
			expect((a?.value.value ?? 0) + (b?.value.value ?? 0)).toBe(200);
			expect([a?.version, b?.version]).toEqual([21, 21]);
		});
	});
}
