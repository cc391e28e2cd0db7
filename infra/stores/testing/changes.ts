import { randomUUID } from "node:crypto";
import type { Change, Refusal } from "../documents.ts";

/** Short ways to say a change of kind `note`, for the tests of Documents; what a test is about it writes itself. */
type Made<Op extends Change["op"]> = Extract<Change, { op: Op }>;

/** A tenant of its own for a test, so that tests can share a store. */
export const newTenant = () => `t-${randomUUID()}`;

export const insert = (id: string, value: unknown, indexes?: Record<string, string>): Made<"insert"> => ({
	op: "insert",
	kind: "note",
	id,
	value,
	...(indexes && { indexes }),
});

export const replace = (
	id: string,
	value: unknown,
	version: number,
	indexes?: Record<string, string>,
): Made<"replace"> => ({ op: "replace", kind: "note", id, value, version, ...(indexes && { indexes }) });

export const add = (id: string, by: number, ceiling?: number): Made<"add"> => ({
	op: "add",
	kind: "note",
	id,
	by,
	...(ceiling !== undefined && { ceiling }),
});

export const remove = (id: string): Made<"remove"> => ({ op: "remove", kind: "note", id });

/** The kinds of refusal among the answers of several commits. */
export const refusedWith = (answers: readonly ("done" | Refusal)[]) => [
	...new Set(answers.flatMap((answer) => (answer === "done" ? [] : [answer.refused]))),
];
