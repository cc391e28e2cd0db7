import { expect, test } from "vitest";
import type { Entry } from "./entry.ts";
import type { AnyEvent } from "./events/all.ts";
import { kinds } from "./events/all.ts";
import { type EventFrame, framesOf } from "./frames.ts";
import { samplesOf } from "./testing/samples.ts";

const request = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa";
const session = "s_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/** Every kind of event that the log knows, several times where its fields have several forms. */
const samples = [...kinds.values()].flatMap((kind) =>
	samplesOf(kind.data, kind.type).values.map((data) => ({ type: kind.type, data: kind.data.parse(data) })),
);

const entryOf = (first: number, events: readonly { type: string; data: unknown }[]): Entry => ({
	v: 1,
	id: "e",
	index: 1,
	position: 1,
	after: 0,
	heard: 0,
	tenant: "acme",
	request,
	session,
	audience: "stream",
	actor: "inference",
	writer: "w",
	attempt: 1,
	cause: 0,
	final: false,
	at: 0,
	trace: "",
	// Each sample was parsed by the schema of its type.
	events: events.map((event, at) => ({ seq: first + at, ...event }) as AnyEvent),
});

const isVisible = ({ type }: { type: string }) => kinds.get(type)?.client !== undefined;

/** The types that clients are told of; a new one is a promise to them. */
const visible = [
	"request.accepted",
	"request.error",
	"state.entered",
	"degradation.applied",
	"message.started",
	"output_text.delta",
	"output_text.done",
	"output_text.retracted",
	"citation.added",
	"retrieval.completed",
	"ingest.progress",
	"ingest.completed",
	"tool.started",
	"tool.completed",
	"tool.failed",
	"usage.completed",
	"message.completed",
];

test("clients are told of exactly the declared types", () => {
	const told = samples.flatMap((sample) => framesOf(entryOf(1, [sample]), 0).map(({ type }) => type));
	expect([...new Set(told)].sort()).toEqual([...visible].sort());
});

test("an internal event never appears", () => {
	const internal = samples.filter((sample) => !isVisible(sample));
	expect(new Set(internal.map(({ type }) => type)).size).toBe(kinds.size - visible.length);
	expect(framesOf(entryOf(1, internal), 0)).toEqual([]);
});

test("a type that nobody declared is not shown", () => {
	expect(framesOf(entryOf(1, [{ type: "nobody.knows", data: { text: "a" } }]), 0)).toEqual([]);
});

test("[G7] prev is the seq of the visible event before, over internal ones and over entries", () => {
	const frames: EventFrame[] = [];
	let seq = 1;
	for (let at = 0; at < samples.length; at += 3) {
		const events = samples.slice(at, at + 3);
		frames.push(...framesOf(entryOf(seq, events), frames.at(-1)?.seq ?? 0));
		seq += events.length;
	}
	const seqs = samples.flatMap((sample, at) => (isVisible(sample) ? [at + 1] : []));
	expect(frames.map((frame) => frame.seq)).toEqual(seqs);
	expect(frames.map(({ prev }) => prev)).toEqual([0, ...seqs.slice(0, -1)]);
});

test("[G7] an entry of internal events leaves the chain as it is", () => {
	const [shown] = samples.filter(isVisible);
	const hidden = samples.filter((sample) => !isVisible(sample)).slice(0, 2);
	if (!shown) throw new Error("a visible sample is expected");
	expect(framesOf(entryOf(5, [...hidden, shown]), 3)).toMatchObject([{ seq: 7, prev: 3 }]);
	expect(framesOf(entryOf(1, [shown]), 0)).toMatchObject([{ seq: 1, prev: 0 }]);
});

test("frames are flat: the event's fields stand beside the frame's own and hide none", () => {
	for (const [at, sample] of samples.filter(isVisible).entries()) {
		const [frame] = framesOf(entryOf(at + 1, [sample]), at);
		expect(frame).toMatchObject({ type: sample.type, request_id: request, seq: at + 1, prev: at });
		expect(Object.keys(frame ?? {})).not.toContain("data");
		expect(JSON.parse(JSON.stringify(frame))).toEqual(frame);
	}
	expect(framesOf(entryOf(9, [{ type: "output_text.delta", data: { text: "The" } }]), 6)).toEqual([
		{ type: "output_text.delta", request_id: request, seq: 9, prev: 6, text: "The" },
	]);
});

test("what the request was asked and who asked stays inside; the session is named", () => {
	const accepted = samples.filter(({ type }) => type === "request.accepted");
	const [frame] = framesOf(entryOf(1, accepted.slice(0, 1)), 0);
	expect(Object.keys(frame ?? {}).sort()).toEqual([
		"deadline_ms",
		"door",
		"feature",
		"prev",
		"request_id",
		"seq",
		"session_id",
		"type",
	]);
	expect(frame).toMatchObject({ session_id: session });
});

test("the text of output_text.done is not sent twice", () => {
	expect(framesOf(entryOf(1, [{ type: "output_text.done", data: { text: "a", text_sha256: "b" } }]), 0)).toEqual([
		{ type: "output_text.done", request_id: request, seq: 1, prev: 0, text_sha256: "b" },
	]);
});
