import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { expect, test } from "vitest";
import { z } from "zod";
import { encode, stamp } from "../subjects/encoding.ts";
import { newSessionId, randomRequestId } from "../subjects/subjects.ts";
import type { Entry } from "./entry.ts";
import { kinds } from "./events/all.ts";
import { upFrames } from "./frames.ts";
import { WIRE_VERSION } from "./wire-version.ts";

/** Hash of everything that is on the wire, by version. A version that has kept a log keeps its hash for ever. */
const hashes: Readonly<Record<number, string>> = {
	1: "7e0bbd23dfda8871ad9c417c4fa2b6a6a204c37956de3ecd4c42b3cefae13f53",
};

/** Fields of an entry and what they are; the compiler keeps the list whole. `position` and `audience` are in the subject. */
const entryFields = {
	v: "number",
	id: "string",
	index: "number",
	after: "number",
	heard: "number",
	tenant: "string",
	request: "string",
	session: "string",
	actor: "string",
	writer: "string",
	attempt: "number",
	cause: "number",
	final: "boolean",
	at: "number",
	trace: "string",
	events: "object",
} satisfies Record<Exclude<keyof Entry, "position" | "audience">, string>;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** A JSON Schema without its prose and, in lists that are sets, without their order. */
function plain(value: unknown, key = ""): unknown {
	if (Array.isArray(value)) {
		const items = value.map((item) => plain(item));
		return ["required", "enum", "anyOf", "oneOf", "type"].includes(key)
			? items.map((item) => canonicalize(item) ?? "").sort()
			: items;
	}
	if (!isObject(value)) return value;
	const named = key === "properties";
	return Object.fromEntries(
		Object.entries(value)
			.filter(([name]) => named || !["description", "title", "$schema", "examples"].includes(name))
			.map(([name, part]) => [name, plain(part, named ? "" : name)]),
	);
}

const schemaOf = (schema: z.ZodType): unknown => plain(z.toJSONSchema(schema, { io: "input" }));

function hashOf(events: Iterable<[string, z.ZodType]>, frames: Iterable<[string, z.ZodType]>, entry: unknown): string {
	const schemas = (named: Iterable<[string, z.ZodType]>) =>
		Object.fromEntries([...named].map(([name, schema]) => [name, schemaOf(schema)]));
	const text = canonicalize({ entry, events: schemas(events), frames: schemas(frames) }) ?? "";
	return createHash("sha256").update(text).digest("hex");
}

const events = [...kinds.values()].map(({ type, data }): [string, z.ZodType] => [type, data]);
const frames = Object.entries(upFrames);

test("the wire schemas are those of WIRE_VERSION", () => {
	const hash = hashOf(events, frames, entryFields);
	const problem =
		hashes[WIRE_VERSION] === undefined
			? `version ${WIRE_VERSION} has no hash yet: add \`${WIRE_VERSION}: "${hash}"\` to the table in this test`
			: `entries, events or frames are expected to be those of version ${WIRE_VERSION}, but a schema changed. ` +
				`Raise WIRE_VERSION in schemas/wire-version.ts with a line that says what changed, and add ` +
				`\`${WIRE_VERSION + 1}: "${hash}"\` to the table in this test; replace the hash of version ${WIRE_VERSION} ` +
				"only if no log was ever kept under it.";
	expect(hash, problem).toBe(hashes[WIRE_VERSION]);
});

test("no two versions have one hash, and none is missing", () => {
	const known = Object.keys(hashes).map(Number);
	expect(known).toEqual(Array.from({ length: WIRE_VERSION }, (_, at) => at + 1));
	expect(new Set(Object.values(hashes)).size).toBe(known.length);
});

test("[L2] an entry is written with exactly the listed fields", () => {
	const request = randomRequestId();
	const entry = stamp(
		{ audience: "stream", actor: "inference", cause: 1, final: false, attempt: 1, events: [] },
		{ address: { tenant: "acme", request, session: newSessionId(request) }, trace: "" },
		{ id: "e", writer: "w", at: 1 },
	);
	const written: Record<string, unknown> = JSON.parse(new TextDecoder().decode(encode(entry)));
	expect(Object.fromEntries(Object.entries(written).map(([name, value]) => [name, typeof value]))).toEqual(entryFields);
});

const base = z.strictObject({ a: z.string(), b: z.enum(["x", "y"]).optional(), c: z.union([z.string(), z.number()]) });
const hashOfOne = (schema: z.ZodType) => hashOf([["one", schema]], [], entryFields);

test.each<[what: string, schema: z.ZodType]>([
	[
		"another order of fields and choices",
		z.strictObject({ c: z.union([z.number(), z.string()]), b: z.enum(["y", "x"]).optional(), a: z.string() }),
	],
	["prose", base.describe("of something").meta({ title: "Something", examples: [1] })],
	["prose of a field", base.extend({ a: z.string().describe("a word") })],
])("%s is no change", (_, schema) => {
	expect(hashOfOne(schema)).toBe(hashOfOne(base));
});

test.each<[what: string, schema: z.ZodType]>([
	["a new field", base.extend({ d: z.string().optional() })],
	["a field named as prose is", base.extend({ description: z.string().optional() })],
	["a field less", base.omit({ b: true })],
	["a field that must be there", base.required()],
	["another type", base.extend({ a: z.int() })],
	["another limit", base.extend({ a: z.string().max(5) })],
	["another choice", base.extend({ b: z.enum(["x", "y", "z"]).optional() })],
	["unknown fields let in", z.looseObject(base.shape)],
])("%s is a change", (_, schema) => {
	expect(hashOfOne(schema)).not.toBe(hashOfOne(base));
});

test("another name of an event, a frame or an entry's field is a change", () => {
	const whole = hashOf(events, frames, entryFields);
	const renamed = events.map(([name, schema], at): [string, z.ZodType] => [at === 0 ? `${name}2` : name, schema]);
	expect(hashOf(renamed, frames, entryFields)).not.toBe(whole);
	expect(hashOf(events, frames.slice(1), entryFields)).not.toBe(whole);
	expect(hashOf(events, frames, { ...entryFields, extra: "string" })).not.toBe(whole);
});
