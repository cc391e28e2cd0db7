import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("[L4] the fingerprint is the hash of canonical JSON: keys in order, absent fields left out", () => {
	const body = { metadata: { b: "2", a: "1" }, input: "Grüße", deadline_ms: 1e3, feature: undefined };
	expect(fingerprint(body)).toBe(sha256('{"deadline_ms":1000,"input":"Grüße","metadata":{"a":"1","b":"2"}}'));
});

test("[L4] each field of the body counts, and so does the form of the input", () => {
	const bodies = [
		{ input: "x" },
		{ input: [{ type: "text" as const, text: "x" }] },
		{ input: "x", feature: "chat" },
		{ input: "x", deadline_ms: 500 },
		{ input: "x", metadata: {} },
		{ input: "x", history: [] },
		{ input: "x", session_id: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
	];
	expect(new Set(bodies.map((body) => fingerprint(body))).size).toBe(bodies.length);
});

test("[L4] another content of the same document is another request", () => {
	const part = { type: "document" as const, document_id: "d_1", name: "a", media_type: "text/plain", bytes: 1 };
	const [one, two] = ["1", "2"].map((sha) => fingerprint({ input: "a" }, [{ ...part, sha256: sha }]));
	expect(one).not.toBe(two);
});
