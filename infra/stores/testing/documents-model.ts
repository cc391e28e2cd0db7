import fc from "fast-check";
import type { Change, Stored } from "../documents.ts";

/** What a commit comes to; `rejected` when it adds to something that is no counter. */
export type Outcome = "done" | "rejected" | { refused: string; at: number };

type Held = { value: unknown; version: number; indexes: Record<string, string> };

/** The semantics of Documents said once more, as plainly as possible: a map per tenant, copied for every commit. */
export function documentsModel() {
	const tenants = new Map<string, Map<string, Held>>();
	const held = (tenant: string) => tenants.get(tenant) ?? new Map<string, Held>();

	function change(documents: Map<string, Held>, change: Change): string | undefined {
		const place = JSON.stringify([change.kind, change.id]);
		const found = documents.get(place);
		switch (change.op) {
			case "insert":
				if (found) return "exists";
				documents.set(place, { value: change.value, version: 1, indexes: change.indexes ?? {} });
				return undefined;
			case "replace":
				if (!found) return "missing";
				if (found.version !== change.version) return "version";
				documents.set(place, { value: change.value, version: found.version + 1, indexes: change.indexes ?? {} });
				return undefined;
			case "remove":
				return documents.delete(place) ? undefined : "missing";
			case "add": {
				const before = found ? counted(found.value) : 0;
				if (before === undefined) return "rejected";
				const sum = before + change.by;
				if (change.by > 0 && sum > (change.ceiling ?? Number.POSITIVE_INFINITY)) return "ceiling";
				const version = (found?.version ?? 0) + 1;
				documents.set(place, { value: { value: sum }, version, indexes: found?.indexes ?? {} });
				return undefined;
			}
		}
	}

	return {
		commit(tenant: string, changes: readonly Change[]): Outcome {
			const next = new Map(held(tenant));
			for (const [at, one] of changes.entries()) {
				const refused = change(next, one);
				if (refused === "rejected") return "rejected";
				if (refused) return { refused, at };
			}
			tenants.set(tenant, next);
			return "done";
		},
		/** Ids are plain ASCII in the property, so the order of JavaScript is that of the port. */
		list(tenant: string, kind: string, index?: readonly [name: string, value: string]): Stored<unknown>[] {
			return [...held(tenant)]
				.map(([place, { value, version, indexes }]) => {
					const [of, id] = JSON.parse(place) as [string, string];
					return { of, id, value, version, indexes };
				})
				.filter(({ of, indexes }) => of === kind && (index === undefined || indexes[index[0]] === index[1]))
				.map(({ id, value, version }) => ({ id, value, version }))
				.sort((a, b) => (a.id < b.id ? -1 : 1));
		},
	};
}

function counted(value: unknown): number | undefined {
	if (typeof value !== "object" || value === null || Object.keys(value).join() !== "value") return undefined;
	return "value" in value && typeof value.value === "number" ? value.value : undefined;
}

/** Few tenants, kinds, ids and versions, so that changes meet each other; every op, with and without indexes. */
export const KINDS = ["note", "count"] as const;
export const INDEXES = [
	["owner", "ann"],
	["owner", "bob"],
	["state", "open"],
] as const;

const place = { kind: fc.constantFrom(...KINDS), id: fc.constantFrom("a", "b", "c") };
const value = fc.oneof(
	fc.integer(),
	fc.string(),
	fc.record({ value: fc.integer({ min: -5, max: 5 }) }),
	fc.record({ text: fc.string({ unit: "grapheme" }), list: fc.array(fc.option(fc.boolean())) }, { requiredKeys: [] }),
);
const indexes = fc.record(
	{ owner: fc.constantFrom("ann", "bob"), state: fc.constantFrom("open", "shut") },
	{ requiredKeys: [], noNullPrototype: true },
);
const bag = { indexes };
const insert = fc.record({ op: fc.constant("insert" as const), ...place, value, ...bag }, { noNullPrototype: true });
const replace = fc.record(
	{ op: fc.constant("replace" as const), ...place, value, version: fc.constantFrom(1, 1, 1, 2, 2, 3), ...bag },
	{ noNullPrototype: true },
);
const add = fc
	.record({ op: fc.constant("add" as const), ...place, by: fc.integer({ min: -3, max: 5 }) }, { noNullPrototype: true })
	.chain((change) =>
		fc.option(fc.integer({ min: 0, max: 8 })).map((ceiling) => (ceiling === null ? change : { ...change, ceiling })),
	);
const remove = fc.record({ op: fc.constant("remove" as const), ...place }, { noNullPrototype: true });

/** Commits of one to three changes by one of two tenants. */
export const commits = fc.array(
	fc.record({
		tenant: fc.constantFrom("one", "two"),
		changes: fc.array(fc.oneof(insert, replace, add, remove), { minLength: 1, maxLength: 3 }),
	}),
	{ minLength: 1, maxLength: 40 },
);
