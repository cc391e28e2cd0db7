import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Entry } from "./entry.ts";
import type { AnyEvent } from "./events/all.ts";
import { kinds } from "./events/all.ts";
import { open, personal, secret } from "./privacy.ts";
import { redact, redactValue, unmarked } from "./redact.ts";
import { samplesOf } from "./testing/samples.ts";

/** Names of a client frame's own fields and of the entry's; data beside them would hide them (L2). */
const reserved = ["type", "request_id", "seq", "prev", "id"];

const entryOf = (type: string, values: readonly unknown[]): Entry => ({
	v: 1,
	id: "e",
	index: 1,
	position: 1,
	after: 0,
	heard: 0,
	tenant: "acme",
	request: "r_aaaaaaaaaaaaaaaaaaaaaaaaaa",
	session: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa",
	audience: "stream",
	actor: "inference",
	writer: "w",
	attempt: 1,
	cause: 0,
	final: false,
	at: 0,
	trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	// The samples are of the type's own schema, which the test has checked.
	events: values.map((data, at) => ({ seq: at + 1, type, data }) as AnyEvent),
});

describe.each([...kinds.values()].map((kind) => [kind.type, kind] as const))("%s", (type, kind) => {
	test("every field says whether it is public, personal or secret", () => {
		expect(unmarked(kind.data, type)).toEqual([]);
	});

	test("what is personal or secret never leaves, what is public does", () => {
		const { values, canaries } = samplesOf(kind.data, type);
		for (const value of values) expect(kind.data.safeParse(value)).toMatchObject({ success: true });
		const whole = JSON.stringify(values);
		const left = JSON.stringify(redact(entryOf(type, values)));
		for (const { text, path, privacy } of canaries) {
			expect(whole, path).toContain(text);
			if (privacy === "public") expect(left, path).toContain(text);
			else expect(left, path).not.toContain(text);
		}
	});

	test("[L2] no field has a name that frames and entries use", () => {
		const names = kind.data instanceof z.ZodObject ? Object.keys(kind.data.shape) : ["no object"];
		expect(names.filter((name) => name === "no object" || reserved.includes(name))).toEqual([]);
	});
});

test("the canaries reach lists, unions, records and what is optional", () => {
	const paths = [...kinds.values()].flatMap((kind) => samplesOf(kind.data, kind.type).canaries.map(({ path }) => path));
	expect(paths).toEqual(
		expect.arrayContaining([
			"request.accepted.documents[].name",
			"request.accepted.metadata{key}",
			"session.loaded.accepted.history[].text",
			"inference.requested.prompt[].tool_calls[].arguments",
			"inference.requested.prompt[].tool_call_id",
			"inference.requested.tools[].parameters{}",
			"inference.attempt_ended.error.message",
		]),
	);
});

const card = z.strictObject({
	number: secret(z.string()),
	owner: personal(z.string()).nullable(),
	kind: open(z.string()).nullable(),
});

test("a secret field is not even named, a personal one shows that it is there", () => {
	expect(redactValue(card, { number: "1", owner: "Ann", kind: "debit" })).toEqual({
		owner: "[personal]",
		kind: "debit",
	});
	expect(redactValue(card, { number: "1", owner: null, kind: null })).toEqual({ owner: null, kind: null });
});

test("the stricter mark holds, wherever it stands", () => {
	expect(redactValue(open(z.array(card)), [{ number: "1", owner: "Ann", kind: "debit" }])).toEqual([
		{ owner: "[personal]", kind: "debit" },
	]);
	expect(redactValue(open(z.record(z.string(), personal(z.string()))), { a: "Ann" })).toEqual({ a: "[personal]" });
	expect(redactValue(personal(z.array(open(z.string()))), ["Ann"])).toBe("[personal]");
	expect(redactValue(secret(z.strictObject({ a: open(z.string()) })), { a: "b" })).toBeUndefined();
});

test("what nobody declared does not leave, not even inside a public field", () => {
	const parts = open(z.strictObject({ a: z.string() }));
	expect(redactValue(z.strictObject({ parts }), { parts: { a: "b", c: "d" }, e: "f" })).toEqual({ parts: { a: "b" } });
	expect(redactValue(open(z.string()), { a: "Ann" })).toBeUndefined();
	expect(redactValue(open(z.union([z.string(), z.number()])), { a: "Ann" })).toBeUndefined();
	expect(redactValue(z.record(z.string(), open(z.number())), { Ann: 1 })).toBeUndefined();
	const unknown = entryOf("nobody.knows", [{ text: "Ann" }]);
	expect(JSON.stringify(redact(unknown))).not.toContain("Ann");
});

test("a field without a mark is found, wherever it stands", () => {
	const schema = z.strictObject({
		a: z.string(),
		b: open(z.string()),
		c: z.array(z.strictObject({ d: z.string().optional(), e: personal(z.string()) })),
		f: z.union([open(z.string()), z.strictObject({ g: z.number() })]),
		h: z.record(z.string(), open(z.string())),
		i: open(z.tuple([z.string()])),
	});
	expect(unmarked(schema, "x")).toEqual(["x.a", "x.c[].d", "x.f.g", "x.h", "x.i"]);
});
