import { expect, test } from "vitest";
import { z } from "zod";
import { explain } from "./explain.ts";
import { submitBody, upFrame } from "./frames.ts";

function faultOf(schema: z.ZodType, value: unknown): string {
	const parsed = schema.safeParse(value);
	if (parsed.success) throw new Error(`a fault was expected, ${JSON.stringify(value)} is valid`);
	return explain(parsed.error, value);
}

const frameNames = '"hello", "submit", "resume", "cancel", "watch", "feedback", "ping"';
const inputForms = 'a non-empty string of at most 65536 characters or a list of content parts {type: "text", text}';

test.each<[what: string, value: unknown, message: string]>([
	["an unknown frame", { type: "nope" }, `"type" is expected to be one of ${frameNames}, got a string ("nope")`],
	["a frame without a type", {}, `"type" is expected to be one of ${frameNames}, got nothing`],
	["no object", 7, "the body is expected to be an object, got a number (7)"],
	["null", null, "the body is expected to be an object, got null"],
	["a list", [1, 2], "the body is expected to be an object, got a list of 2"],
	[
		"an empty name",
		{ type: "watch", id: "", session_id: "s" },
		'"id" is expected to be a non-empty string, got a string ("")',
	],
	[
		"too large a number",
		{ type: "feedback", id: "f", request_id: "r", score: 3 },
		'"score" is expected to be at most 1, got a number (3)',
	],
	["two unknown fields", { type: "ping", a: 1, b: 2 }, 'unknown fields "a", "b"'],
])("a frame: %s", (_, value, message) => {
	expect(faultOf(upFrame, value)).toBe(message);
});

test.each<[what: string, body: Record<string, unknown>, message: string]>([
	["input of another type", { input: 7 }, `"input" is expected to be ${inputForms}, got a number (7)`],
	["no input", {}, `"input" is expected to be ${inputForms}, got nothing`],
	["an object as input", { input: {} }, `"input" is expected to be ${inputForms}, got an object`],
	["empty input", { input: "" }, '"input" is expected to be a non-empty string, got a string ("")'],
	["no parts", { input: [] }, '"input" is expected to be a non-empty list, got a list of 0'],
	[
		"a part of another kind",
		{ input: [{ type: "image", text: "a" }] },
		'"input.0.type" is expected to be "text", got a string ("image")',
	],
	[
		"an empty part",
		{
			input: [
				{ type: "text", text: "a" },
				{ type: "text", text: "" },
			],
		},
		'"input.1.text" is expected to be a non-empty string, got a string ("")',
	],
	["a part that is none", { input: [7] }, '"input.0" is expected to be an object, got a number (7)'],
	["an unknown field of a part", { input: [{ type: "text", text: "a", x: 1 }] }, 'unknown field "x" in "input.0"'],
	[
		"a role",
		{ input: "a", history: [{ role: "system", text: "a" }] },
		'"history.0.role" is expected to be one of "user", "assistant", got a string ("system")',
	],
	[
		"a key of metadata",
		{ input: "a", metadata: { "a b": "c" } },
		'a key of "metadata" is expected to be 1 to 64 of A-Z a-z 0-9 _ -, got a string ("a b")',
	],
	[
		"a value of metadata",
		{ input: "a", metadata: { a: true } },
		'"metadata.a" is expected to be a string, got a boolean (true)',
	],
	[
		"half a millisecond",
		{ input: "a", deadline_ms: 150.5 },
		'"deadline_ms" is expected to be a whole number, got a number (150.5)',
	],
	["too little time", { input: "a", deadline_ms: 1 }, '"deadline_ms" is expected to be at least 100, got a number (1)'],
	[
		"not a session",
		{ input: "a", session_id: "s" },
		'"session_id" is expected to be a session id (s_ and 26 characters), got a string ("s")',
	],
	["an unknown field", { input: "a", model: "b" }, 'unknown field "model"'],
])("a body: %s", (_, body, message) => {
	expect(faultOf(submitBody, body)).toBe(message);
});

test.each<[what: string, schema: z.ZodType, value: unknown, message: string]>([
	[
		"a limit that is itself too little",
		z.number().positive(),
		0,
		"the body is expected to be more than 0, got a number (0)",
	],
	["a limit that is itself too much", z.number().lt(5), 5, "the body is expected to be less than 5, got a number (5)"],
	[
		"an exact length",
		z.string().length(2),
		"a",
		'the body is expected to be a string of exactly 2 characters, got a string ("a")',
	],
	[
		"too many items",
		z.array(z.string()).max(1),
		["a", "b"],
		"the body is expected to be a list of at most 1 item, got a list of 2",
	],
	["a step", z.number().multipleOf(5), 7, "the body is expected to be a multiple of 5, got a number (7)"],
	[
		"a union without a message",
		z.union([z.string(), z.boolean()]),
		7,
		"the body is expected to be a string or a boolean, got a number (7)",
	],
	[
		"a union in a union",
		z.union([z.string(), z.array(z.union([z.string(), z.strictObject({ a: z.literal(1) })]))]),
		["b", { a: 2 }],
		'"1.a" is expected to be 1, got a number (2)',
	],
	[
		"a discriminated union in a list",
		z.array(z.discriminatedUnion("kind", [z.object({ kind: z.literal("a") }), z.object({ kind: z.literal("b") })])),
		[{ kind: "c" }],
		'"0.kind" is expected to be one of "a", "b", got a string ("c")',
	],
	[
		"a rule over fields that says what came",
		z.object({ a: z.string() }).refine(() => false, 'a name out of b, got "c"'),
		{ a: "c" },
		'the body is expected to be a name out of b, got "c"',
	],
	[
		"a rule of its own",
		z.string().refine(() => false, "a regular expression"),
		"(",
		'the body is expected to be a regular expression, got a string ("(")',
	],
])("%s", (_, schema, value, message) => {
	expect(faultOf(schema, value)).toBe(message);
});

test("at most 60 characters of what came are repeated, whether value, key or field", () => {
	const long = "q".repeat(70_000);
	expect(faultOf(submitBody, { input: long })).toBe(
		`"input" is expected to be a string of at most 65536 characters, got a string of 70000 characters ("${"q".repeat(59)}…")`,
	);
	for (const body of [
		{ input: "a", session_id: long },
		{ input: "a", [long]: 1 },
		{ input: "a", metadata: { [long]: "b" } },
		{ input: "a", metadata: { [long]: 1 } },
	]) {
		expect(faultOf(submitBody, body)).toMatch(/^[^q]*q{59}…[^q]*$/);
	}
});

test("of many unknown fields five are named", () => {
	const body = { input: "a", ...Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`f${at}`, at])) };
	expect(faultOf(submitBody, body)).toBe('unknown fields "f0", "f1", "f2", "f3", "f4" and 995 more');
});

test("a quotation never ends in half a character", () => {
	expect(faultOf(z.number(), `${"x".repeat(58)}${"😀".repeat(5)}`)).toBe(
		`the body is expected to be a number, got a string of 68 characters ("${"x".repeat(58)}…")`,
	);
});
