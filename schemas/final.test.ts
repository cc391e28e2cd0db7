import { expect, test } from "vitest";
import type { Entry } from "./entry.ts";
import type { AnyEvent, DataOf, EventDraft } from "./events/all.ts";
import { finalObject, finalOfEnd, visibleText } from "./final.ts";

const request = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa";
const session = "s_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/** Numbers the events of a request and puts each list of them into one entry. */
function logOf(...drafts: EventDraft[][]): Entry[] {
	let seq = 0;
	return drafts.map((events, at) => ({
		v: 1,
		id: `e${at}`,
		index: at + 1,
		position: at + 1,
		after: at,
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
		events: events.map((event) => ({ seq: ++seq, ...event }) as AnyEvent),
	}));
}

const delta = (text: string): EventDraft => ({ type: "output_text.delta", data: { text } });
const retracted = (from_seq: number): EventDraft => ({
	type: "output_text.retracted",
	data: { from_seq, reason: "r" },
});
const done = (text: string): EventDraft => ({ type: "output_text.done", data: { text, text_sha256: "h" } });
const cited = { n: 1, document_id: "d", chunk_id: "c", title: "t", quote: "q", verified: true };
const citation: EventDraft = { type: "citation.added", data: cited };
const usage: DataOf<"usage.completed"> = {
	input_tokens: 3,
	output_tokens: 4,
	cached_tokens: 1,
	reasoning_tokens: 2,
	cost_micros: 5,
	currency: "USD",
	attempts: [],
	partial: false,
	estimated: false,
};
const failure = { code: "provider_failed", retryable: true, message: "m" } as const;
const error: EventDraft = { type: "request.error", data: { ...failure, stage: "inferring" } };

type Completed = DataOf<"message.completed">;
const ended = (
	status: Completed["status"],
	finish_reason: Completed["finish_reason"],
	final_seq: number,
): EventDraft[] => [
	{ type: "usage.completed", data: usage },
	{ type: "message.completed", data: { status, finish_reason, text_sha256: "h", final_seq } },
];

const eventsOf = (...drafts: EventDraft[]) => logOf(drafts).flatMap(({ events }) => events);

test("visible text is the deltas in order without what was retracted", () => {
	expect(visibleText(eventsOf())).toBe("");
	expect(visibleText(eventsOf(delta("a"), delta("b"), delta("c")))).toBe("abc");
	expect(visibleText(eventsOf(delta("a"), delta("b"), delta("c"), retracted(2)))).toBe("a");
	expect(visibleText(eventsOf(delta("a"), delta("b"), retracted(1), delta("c"), delta("d")))).toBe("cd");
	expect(visibleText(eventsOf(delta("a"), retracted(1), delta("b"), retracted(3), delta("c")))).toBe("c");
	expect(visibleText(eventsOf(delta("a"), retracted(2), delta("b")))).toBe("ab");
});

test("nothing of a log is no object", () => {
	expect(finalObject([])).toBeUndefined();
});

test("[L6] a request without its end is running, with the text so far", () => {
	expect(finalObject(logOf([delta("a")], [delta("b")], [{ type: "usage.completed", data: usage }]))).toEqual({
		request_id: request,
		session_id: session,
		status: "running",
		output_text: "ab",
		citations: [],
		usage,
		finish_reason: null,
		final_seq: null,
	});
});

test("a completed request, taken over once, is the fold of its log", () => {
	const entries = logOf(
		[delta("lost ")],
		[delta("words")],
		[retracted(1), delta("The ")],
		[delta("end")],
		[done("The end"), citation, ...ended("completed", "stop", 9)],
	);
	expect(finalObject(entries)).toEqual({
		request_id: request,
		session_id: session,
		status: "completed",
		output_text: "The end",
		citations: [cited],
		usage,
		finish_reason: "stop",
		final_seq: 9,
	});
});

test.each<[what: string, entries: Entry[]]>([
	["plain", logOf([delta("a")], [delta("b")], [done("ab"), ...ended("completed", "stop", 5)])],
	["with citations", logOf([delta("a")], [done("a"), citation, citation, ...ended("completed", "length", 6)])],
	[
		"taken over",
		logOf([delta("a"), delta("b")], [retracted(2), delta("c")], [done("ac"), ...ended("completed", "stop", 7)]),
	],
	[
		"refused in words of ours",
		logOf([delta("x")], [retracted(1), delta("no"), done("no"), ...ended("refused", "refused", 6)]),
	],
	["cancelled with text", logOf([delta("a")], [done("a"), ...ended("cancelled", "cancelled", 4)])],
])("the end entry alone says what the whole log says: %s", (_, entries) => {
	const end = entries.at(-1);
	const whole = finalObject(entries);
	expect(whole?.status).not.toBe("running");
	expect(end && finalOfEnd(end)).toEqual(whole);
});

test.each<[what: string, events: EventDraft[]]>([
	["it failed", [error, done("a"), ...ended("failed", "error", 5)]],
	["it is incomplete", [done("a"), ...ended("incomplete", "degraded", 4)]],
	["its text was never counted up", ended("cancelled", "cancelled", 3)],
	["it is no end", [done("a"), { type: "usage.completed", data: usage }]],
])("the end entry alone does not say it when %s", (_, events) => {
	const end = logOf([delta("a")], events).at(-1);
	expect(end && finalOfEnd(end)).toBeUndefined();
});

test("an end that is not completed carries its error, with the text that stands", () => {
	expect(finalObject(logOf([delta("half")], [error, ...ended("failed", "error", 4)]))).toMatchObject({
		status: "failed",
		finish_reason: "error",
		output_text: "half",
		error: failure,
		final_seq: 4,
	});
});
