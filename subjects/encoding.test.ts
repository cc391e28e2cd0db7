import { expect, test } from "vitest";
import type { Draft, Entry } from "../schemas/entry.ts";
import { audiences } from "../schemas/entry.ts";
import { CodedError } from "../schemas/errors.ts";
import { WIRE_VERSION } from "../schemas/wire-version.ts";
import { decode, encode, MAX_ENTRY_BYTES, stamp } from "./encoding.ts";
import { entrySubject, keyedRequestId, newSessionId } from "./subjects.ts";

const request = keyedRequestId("acme", "alice", "1");
const address = { tenant: "acme", request, session: newSessionId(request) };
const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const start = { address, trace };

const draft = (changes: Partial<Draft> = {}): Draft => ({
	audience: "stream",
	actor: "inference",
	cause: 4,
	final: false,
	attempt: 2,
	events: [
		{ type: "output_text.delta", data: { text: "Grüße, " } },
		{ type: "output_text.delta", data: { text: "😀\u2028\0" } },
	],
	...changes,
});

let stamps = 0;
const stamped = (changes: Partial<Draft>, after: Entry | typeof start, position: number): Entry => ({
	...stamp(draft(changes), after, { id: `e${String(++stamps).padStart(4, "0")}`, writer: "w1", at: 1_700_000_000_000 }),
	position,
});

test("[L2] the first entry follows nothing and takes address and trace from the start", () => {
	expect(stamp(draft(), start, { id: "e", writer: "w1", at: 5 })).toEqual({
		v: WIRE_VERSION,
		id: "e",
		index: 1,
		position: 0,
		after: 0,
		heard: 0,
		...address,
		audience: "stream",
		actor: "inference",
		writer: "w1",
		attempt: 2,
		cause: 4,
		final: false,
		at: 5,
		trace,
		events: [
			{ seq: 1, type: "output_text.delta", data: { text: "Grüße, " } },
			{ seq: 2, type: "output_text.delta", data: { text: "😀\u2028\0" } },
		],
	});
});

test("[L2] entries count by one, events without gaps, and each names the position before it", () => {
	const first = stamped({}, start, 10);
	const second = stamped({}, first, 17);
	const third = stamped({ events: [] }, second, 18);
	expect([first, second, third].map(({ index, after }) => [index, after])).toEqual([
		[1, 0],
		[2, 10],
		[3, 17],
	]);
	expect([first, second].flatMap(({ events }) => events.map(({ seq }) => seq))).toEqual([1, 2, 3, 4]);
	expect(third).toMatchObject({ ...address, trace, events: [] });
});

test("[L2] heard is the position of the last entry that orchestration wrote or was addressed by", () => {
	const log: Entry[] = [];
	const append = (changes: Partial<Draft>, position: number) =>
		log.push(stamped(changes, log.at(-1) ?? start, position));
	append({ actor: "gateway", audience: "session" }, 10);
	append({ actor: "session", audience: "orchestration" }, 11);
	append({ actor: "orchestration", audience: "inference" }, 12);
	append({}, 13);
	append({}, 14);
	append({ audience: "orchestration" }, 15);
	append({}, 16);
	expect(log.map(({ heard }) => heard)).toEqual([0, 0, 11, 12, 12, 12, 15]);
});

test.each(audiences.map((audience) => [audience]))("an entry for %s reads back as it was written", (audience) => {
	const first = stamped({ audience, actor: "orchestration", final: true }, start, 10);
	const second = stamped({ audience }, first, 99);
	for (const entry of [first, second]) {
		expect(decode(entrySubject(entry, audience), entry.position, encode(entry))).toEqual(entry);
	}
});

test("where a message stands and whom it is for is said once, by stream and subject", () => {
	const entry = stamped({}, start, 10);
	const written = JSON.parse(new TextDecoder().decode(encode(entry)));
	expect(written).not.toHaveProperty("position");
	expect(written).not.toHaveProperty("audience");
	expect(decode(entrySubject(entry, "session"), 11, encode(entry))).toMatchObject({
		position: 11,
		audience: "session",
	});
});

test("the same draft at the same place with the same stamp is the same bytes", () => {
	const once = () => encode(stamp(draft(), start, { id: "e", writer: "w1", at: 5 }));
	expect(once()).toEqual(once());
});

test("an entry under another tenant's or request's subject is refused", () => {
	const entry = stamped({}, start, 10);
	const foreign = keyedRequestId("acme", "alice", "2");
	for (const elsewhere of [
		{ ...address, tenant: "globex" },
		{ ...address, request: foreign },
	]) {
		expect(() => decode(entrySubject(elsewhere, "stream"), 10, encode(entry))).toThrow(
			`the entry at position 10 says it belongs to acme/${request}, its subject says ${elsewhere.tenant}/${elsewhere.request}`,
		);
	}
});

test("an entry of another version is refused, and says so", () => {
	const subject = entrySubject(address, "stream");
	for (const v of [WIRE_VERSION + 1, 0]) {
		const bytes = encode({ ...stamped({}, start, 10), v });
		expect(() => decode(subject, 10, bytes)).toThrow(
			`an entry of version ${WIRE_VERSION} is expected at ${subject}, got ${v}`,
		);
	}
});

test("a subject that is none of the log's and bytes that are no entry are refused", () => {
	const bytes = encode(stamped({}, start, 10));
	expect(() => decode("timers.due.a", 10, bytes)).toThrow(/a subject of the log is expected/);
	expect(() => decode(entrySubject(address, "stream"), 10, bytes.slice(1))).toThrow(SyntaxError);
});

test("[L13] an entry may have 256 KiB, counted in bytes, and not one more", () => {
	const sized = (text: string) => stamped({ events: [{ type: "output_text.delta", data: { text } }] }, start, 0);
	const frame = encode(sized("")).length;
	const room = MAX_ENTRY_BYTES - frame;
	expect(encode(sized("x".repeat(room)))).toHaveLength(MAX_ENTRY_BYTES);
	const tooLarge = sized(`${"x".repeat(room - 1)}é`);
	expect(() => encode(tooLarge)).toThrow(CodedError);
	expect(() => encode(tooLarge)).toThrow(
		"an entry is expected to have at most 262144 bytes, output_text.delta would have 262145",
	);
});
