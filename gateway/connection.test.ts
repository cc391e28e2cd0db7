import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectBus } from "../infra/bus/connect.ts";
import { jetStreamLog } from "../infra/bus/jetstream-log.ts";
import { type Link, openLink } from "../infra/bus/link.ts";
import { ensureStreams } from "../infra/bus/streams.ts";
import { silent, startTestNats, type TestNats } from "../infra/testing/nats.ts";
import type { Log } from "../subjects/log.ts";
import { newSessionId, randomRequestId } from "../subjects/subjects.ts";
import { type ConnectionOptions, serveConnection } from "./connection.ts";
import { openFollowers } from "./followers.ts";
import { type HandSocket, handSocket } from "./testing/hand-socket.ts";
import { memoryPorts } from "./testing/memory-ports.ts";
import { storyOf } from "./testing/story.ts";

let nats: TestNats;
let link: Link;
let log: Log;
beforeAll(async () => {
	nats = await startTestNats();
	link = openLink(await connectBus({ url: nats.url, token: nats.token, name: "connection", log: silent }));
	await ensureStreams(link.connection, 24);
	log = jetStreamLog({ link, writer: "connection", patienceMs: 5_000 });
});
afterAll(async () => {
	await link?.close();
	await nats?.[Symbol.asyncDispose]();
});

/** A gateway without doors: sockets are opened by hand. */
function gateway(on = log) {
	const followers = openFollowers(on);
	onTestFinished(() => followers[Symbol.dispose]());
	const ports = { ...memoryPorts(on), followers };
	const dial = (token: string | undefined, options?: ConnectionOptions) => {
		const hand = handSocket();
		const served = serveConnection(ports, hand.socket, token, options);
		return { ...hand, served };
	};
	const open = async (token = "alice-key", options?: ConnectionOptions) => {
		const hand = dial(token, options);
		await hand.next(({ type }) => type === "ready");
		return hand;
	};
	return { ports, dial, open };
}

const answerTo = (hand: HandSocket, id: string) => hand.next((frame) => frame.id === id);
const endOf = (hand: HandSocket, request: unknown) =>
	hand.next((frame) => frame.type === "message.completed" && frame.request_id === request);
const eventsOf = (hand: HandSocket, request: unknown) =>
	hand.frames.filter((frame) => frame.request_id === request && typeof frame.seq === "number");

async function submit(hand: HandSocket, id: string, more: Record<string, unknown> = {}) {
	hand.say({ type: "submit", id, input: "hello", ...more });
	const reply = await answerTo(hand, id);
	const address = { tenant: "acme", request: String(reply.request_id), session: String(reply.session_id) };
	return { reply, address, request: address.request };
}

async function tell(address: { tenant: string; request: string; session: string }, deltas = 3): Promise<void> {
	const story = await storyOf(log, address);
	await story.begin();
	for (let at = 0; at < deltas; at++) await story.delta(`word ${at} `);
	await story.end();
}

test("[P16] hello is answered by ready; what was sent behind it waits for that", async () => {
	const hand = gateway().dial(undefined);
	hand.say({ type: "hello", token: "alice-key" });
	hand.say({ type: "submit", id: "1", input: "hello" });
	await answerTo(hand, "1");
	expect(hand.frames.slice(0, 2)).toMatchObject([
		{ type: "ready", principal: "alice", limits: { frame_bytes: 131072, input_characters: 65536 } },
		{ type: "reply", id: "1", status: "accepted" },
	]);
});

test.each([
	["a wrong key", (hand: HandSocket) => hand.say({ type: "hello", token: "wrong" })],
	["a command before hello", (hand: HandSocket) => hand.say({ type: "submit", id: "1", input: "x" })],
])("[P16] %s is refused with unauthorized and 4001", async (_, act) => {
	const hand = gateway().dial(undefined);
	act(hand);
	expect(await hand.closed).toMatchObject({ code: 4001 });
	expect(hand.frames).toMatchObject([{ type: "error", code: "unauthorized" }]);
});

test("[P1] no hello in time closes with 4001", async () => {
	const hand = gateway().dial(undefined, { helloMs: 10 });
	expect(await hand.closed).toMatchObject({ code: 4001 });
});

test("[P1] keys that cannot be looked up now are no reason to call them unknown", async () => {
	const { ports, dial } = gateway();
	ports.credentials.identify = () => Promise.reject(new Error("the store is away"));
	const hand = dial("alice-key");
	expect(await hand.closed).toMatchObject({ code: 1013 });
	expect(hand.frames).toMatchObject([{ type: "error", code: "unavailable", retry_after: 2 }]);
});

test("[P3] a revoked key closes its socket", async () => {
	const hand = await gateway().open();
	expect(hand.served.token()).toBe("alice-key");
	hand.served.revoke();
	expect(await hand.closed).toMatchObject({ code: 4001 });
});

test("[P17] submit: the reply, then every event from the first to the last", async () => {
	const hand = await gateway().open();
	const { reply, address, request } = await submit(hand, "1");
	expect(reply).toMatchObject({ type: "reply", status: "accepted", session_id: newSessionId(request) });
	await tell(address);
	await endOf(hand, request);
	const events = eventsOf(hand, request);
	expect(events.map(({ type }) => type)).toEqual([
		"request.accepted",
		"message.started",
		"state.entered",
		"output_text.delta",
		"output_text.delta",
		"output_text.delta",
		"output_text.done",
		"usage.completed",
		"message.completed",
	]);
	expect(events.map(({ prev }) => prev)).toEqual([0, ...events.map(({ seq }) => seq).slice(0, -1)]);
	expect(hand.frames.indexOf(reply)).toBeLessThan(hand.frames.indexOf(events[0] ?? {}));
});

test("[P6] the same key on two sockets is one request with equal transcripts; another body is a mismatch", async () => {
	const { open } = gateway();
	const [one, two] = await Promise.all([open(), open()]);
	const idempotency_key = randomRequestId();
	const first = await submit(one, "1", { idempotency_key });
	const second = await submit(two, "1", { idempotency_key });
	expect(second.reply).toEqual({ ...first.reply, status: "attached" });
	const other = await submit(two, "2", { idempotency_key, input: "another" });
	expect(other.reply).toMatchObject({ type: "error", code: "idempotency_mismatch" });
	await tell(first.address);
	await Promise.all([endOf(one, first.request), endOf(two, first.request)]);
	expect(JSON.stringify(eventsOf(two, first.request))).toBe(JSON.stringify(eventsOf(one, first.request)));
});

test("[P6] an expired request answers completed and final", async () => {
	const { ports, open } = gateway();
	const hand = await open();
	const idempotency_key = randomRequestId();
	const { address, request } = await submit(hand, "1", { idempotency_key });
	await tell(address);
	const entries = await log.read(address, 0);
	const event = entries[0]?.events[0];
	const accepted = event?.type === "request.accepted" ? event.data : undefined;
	const final = {
		request_id: request,
		session_id: address.session,
		status: "completed" as const,
		output_text: "kept",
		citations: [],
		usage: null,
		finish_reason: "stop",
		final_seq: 12,
	};
	ports.results.rows.set(`acme/${request}`, { fingerprint: accepted?.fingerprint ?? "", principal: "alice", final });
	ports.log = { ...log, tail: async () => undefined };
	const later = await open();
	const again = await submit(later, "2", { idempotency_key });
	expect(again.reply).toMatchObject({ type: "reply", status: "completed", request_id: request });
	expect(later.frames.at(-1)).toEqual({ type: "final", request_id: request, final });
	later.say({ type: "resume", id: "3", request_id: request, after: 3 });
	expect(await answerTo(later, "3")).toMatchObject({ status: "completed" });
	expect(later.frames.at(-1)).toEqual({ type: "final", request_id: request, final });
});

test("[P8] leaving is no cancel: the request runs on and is resumed from the cursor on another socket", async () => {
	const { ports, open } = gateway();
	const one = await open();
	const { address, request } = await submit(one, "1");
	const story = await storyOf(log, address);
	await story.begin();
	await one.next(({ type }) => type === "state.entered");
	one.leave();
	expect(ports.followers.size()).toBe(0);
	const before = eventsOf(one, request);
	await story.delta("while nobody listens ");
	const two = await open();
	two.say({ type: "resume", id: "2", request_id: request, after: before.at(-1)?.seq });
	expect(await answerTo(two, "2")).toMatchObject({ type: "reply", status: "recovered", request_id: request });
	await story.delta("and live");
	await story.end();
	await endOf(two, request);
	const all = [...before, ...eventsOf(two, request)];
	expect(all.map(({ prev }) => prev)).toEqual([0, ...all.map(({ seq }) => seq).slice(0, -1)]);
	expect(all.some(({ type }) => type === "cancel.requested")).toBe(false);
});

test("[P2] resume, cancel, feedback and watch of a foreign id answer byte for byte as of an unknown one", async () => {
	const { open } = gateway();
	const [alice, bob, stranger] = await Promise.all([open(), open("bob-key"), open("stranger-key")]);
	const { request, address } = await submit(alice, "1");
	const unknown = randomRequestId();
	const ask = async (hand: HandSocket, request_id: string, session_id: string) => {
		hand.say({ type: "resume", id: `r${request_id}`, request_id, after: 0 });
		hand.say({ type: "cancel", id: `c${request_id}`, request_id });
		hand.say({ type: "feedback", id: `f${request_id}`, request_id, score: 1 });
		hand.say({ type: "watch", id: `w${request_id}`, session_id });
		const answers = await Promise.all(["r", "c", "f", "w"].map((name) => answerTo(hand, `${name}${request_id}`)));
		return JSON.stringify(answers).replaceAll(request_id, "ID");
	};
	const expected = await ask(bob, unknown, newSessionId(unknown));
	expect(expected).toContain('"status":"gone","reason":"unknown"');
	expect(expected.match(/not_found/g)).toHaveLength(3);
	expect(await ask(bob, request, address.session)).toBe(expected);
	expect(await ask(stranger, request, address.session)).toBe(expected);
	expect(await log.read(address, 0)).toHaveLength(1);
});

test("[P21] a cursor beyond the end is gone, diverged", async () => {
	const hand = await gateway().open();
	const { request } = await submit(hand, "1");
	hand.say({ type: "resume", id: "2", request_id: request, after: 1_000 });
	expect(await answerTo(hand, "2")).toEqual({
		type: "reply",
		id: "2",
		request_id: request,
		status: "gone",
		reason: "diverged",
	});
});

test("[P22] a log that is lost on the way is told to its follower", async () => {
	let reconnect = () => {};
	const losing: Log = {
		...log,
		onReconnect(handle) {
			reconnect = handle;
			return log.onReconnect(handle);
		},
	};
	const hand = await gateway(losing).open();
	const { request } = await submit(hand, "1");
	losing.read = async () => [];
	losing.tail = async () => undefined;
	reconnect();
	const told = await hand.next(({ id, status }) => id === "1" && status === "gone");
	expect(told).toMatchObject({ request_id: request, reason: "expired" });
});

test("[P23] a snapshot is the text so far, then live events from there", async () => {
	const { open } = gateway();
	const one = await open();
	const { address, request } = await submit(one, "1");
	const story = await storyOf(log, address);
	await story.begin();
	await story.delta("so ");
	await story.delta("far");
	const two = await open();
	two.say({ type: "resume", id: "2", request_id: request, after: 0, snapshot: true });
	await two.next(({ type }) => type === "snapshot");
	await story.delta(", so good");
	await story.end();
	await endOf(two, request);
	await endOf(one, request);
	const whole = eventsOf(one, request);
	const deltas = whole.filter(({ type }) => type === "output_text.delta");
	const upTo = deltas[1]?.seq;
	const [, reply, snapshot, ...rest] = two.frames;
	expect(reply).toMatchObject({ id: "2", status: "recovered" });
	expect(snapshot).toEqual({ type: "snapshot", request_id: request, text: "so far", up_to: upTo });
	expect(rest).toEqual(whole.slice(whole.indexOf(deltas[2] ?? {})));
	two.say({ type: "resume", id: "3", request_id: request, after: 0, snapshot: true });
	const final = await two.next(({ type }) => type === "final");
	expect(final).toMatchObject({ final: { status: "completed", output_text: "so far, so good" } });
	expect(two.frames.slice(-3)).toMatchObject([{ status: "completed" }, { type: "snapshot" }, { type: "final" }]);
});

test("[P25] cancel puts one wish into the log, however often it is said, and none after the end", async () => {
	const hand = await gateway().open();
	const { address, request } = await submit(hand, "1");
	const story = await storyOf(log, address);
	await story.begin();
	const cancel = async (id: string) => {
		hand.say({ type: "cancel", id, request_id: request });
		return answerTo(hand, id);
	};
	expect(await cancel("2")).toEqual({ type: "reply", id: "2", request_id: request, status: "done" });
	expect(await cancel("3")).toEqual({ type: "reply", id: "3", request_id: request, status: "done" });
	const wishes = (await log.read(address, 0)).filter(({ events }) => events[0]?.type === "cancel.requested");
	expect(wishes).toMatchObject([
		{
			audience: "orchestration",
			actor: "gateway",
			cause: 0,
			final: false,
			attempt: 0,
			events: [{ data: { by: "alice" } }],
		},
	]);
	await story.end("cancelled");
	expect(await endOf(hand, request)).toMatchObject({ status: "cancelled" });
	expect(await cancel("4")).toMatchObject({ status: "done", reason: "already ended" });
});

test("[P25] a cancel gets through between appends of others", async () => {
	const hand = await gateway().open();
	const { address, request } = await submit(hand, "1");
	const story = await storyOf(log, address);
	await story.begin();
	const telling = (async () => {
		for (let at = 0; at < 40; at++) await story.delta(`${at} `);
	})();
	hand.say({ type: "cancel", id: "2", request_id: request });
	expect(await answerTo(hand, "2")).toMatchObject({ status: "done" });
	await telling;
	const types = (await log.read(address, 0)).flatMap(({ events }) => events.map(({ type }) => type));
	expect(types.filter((type) => type === "cancel.requested")).toHaveLength(1);
});

test("feedback is recorded for its principal", async () => {
	const { ports, open } = gateway();
	const hand = await open();
	const { request } = await submit(hand, "1");
	hand.say({ type: "feedback", id: "2", request_id: request, score: 0.5, comment: "good" });
	expect(await answerTo(hand, "2")).toMatchObject({ status: "done" });
	expect(ports.feedback.recorded).toEqual([
		{ tenant: "acme", request, principal: "alice", score: 0.5, comment: "good" },
	]);
});

test("[P24] a watch follows each request of the session once, whoever submits it", async () => {
	const { open } = gateway();
	const [tab, other] = await Promise.all([open(), open()]);
	const first = await submit(tab, "1");
	await tell(first.address);
	await endOf(tab, first.request);
	const { session } = first.address;
	for (const [at, hand] of [tab, other].entries()) {
		hand.say({ type: "watch", id: `w${at}`, session_id: session });
		expect(await answerTo(hand, `w${at}`)).toEqual({ type: "reply", id: `w${at}`, status: "done" });
	}
	const second = await submit(tab, "2", { session_id: session });
	await tell(second.address);
	await Promise.all([endOf(tab, second.request), endOf(other, second.request)]);
	expect(eventsOf(other, second.request)).toEqual(eventsOf(tab, second.request));
	expect(eventsOf(other, second.request).map(({ seq }) => seq)).toEqual([
		...new Set(eventsOf(other, second.request).map(({ seq }) => seq)),
	]);
	expect(eventsOf(other, first.request)).toEqual([]);
});

test("[P20] a resume replaces the follow of the same request on this socket", async () => {
	const { ports, open } = gateway();
	const hand = await open();
	const { address, request } = await submit(hand, "1");
	hand.say({ type: "resume", id: "2", request_id: request, after: 1 });
	await answerTo(hand, "2");
	expect(ports.followers.size()).toBe(1);
	await tell(address);
	await endOf(hand, request);
	const seqs = eventsOf(hand, request).map(({ seq }) => seq);
	expect(seqs).toEqual([...new Set(seqs)]);
});

test("[P26] a socket that is full gets nothing more pushed, and all of it once it drains", async () => {
	const { open } = gateway();
	const [slow, fast] = await Promise.all([open(), open()]);
	const idempotency_key = randomRequestId();
	const { address, request } = await submit(slow, "1", { idempotency_key });
	await submit(fast, "1", { idempotency_key });
	await slow.next(({ type }) => type === "request.accepted");
	slow.fillAfter(1);
	await tell(address, 30);
	await endOf(fast, request);
	expect(eventsOf(slow, request).length).toBeLessThan(5);
	slow.say({ type: "ping" });
	expect(slow.frames.at(-1)).toEqual({ type: "pong" });
	slow.drain();
	await endOf(slow, request);
	expect(eventsOf(slow, request)).toEqual(eventsOf(fast, request));
});

test("[P26] a client that asks and never reads is closed before its answers pile up", async () => {
	const hand = await gateway().open();
	hand.fillAfter(1);
	for (let at = 0; at < 300; at++) hand.say({ type: "ping" });
	expect(await hand.closed).toMatchObject({ code: 4008 });
	expect(hand.frames.length).toBeLessThan(300);
});

test("[P18] frames that are wrong get one error each, with their id where they have one, and the socket lives", async () => {
	const hand = await gateway().open();
	const wrong: [string, RegExp, string | undefined][] = [
		["{", /broken JSON/, undefined],
		["[]", /one JSON object, got \[\]/, undefined],
		['{"type":"nope","id":"9"}', /"type" is expected to be one of .*"submit".*, got a string \("nope"\)/, "9"],
		['{"type":"submit","id":"8"}', /"input" is expected/, "8"],
		['{"type":"submit","id":"7","input":"x","more":1}', /unknown field "more"/, "7"],
		['{"type":"resume","id":"6","request_id":"r","after":-1}', /"after" is expected to be at least 0/, "6"],
		['{"type":"hello","token":"alice-key"}', /one "hello" is expected/, undefined],
		[
			JSON.stringify({ type: "submit", id: "5", input: "x", metadata: { a: "y".repeat(131_072) } }),
			/at most 131072 bytes/,
			"5",
		],
	];
	for (const [frame, message, id] of wrong) {
		const before = hand.frames.length;
		hand.say(frame);
		expect(hand.frames.slice(before)).toEqual([
			{ type: "error", ...(id && { id }), code: expect.any(String), message: expect.stringMatching(message) },
		]);
	}
	hand.say({ type: "ping" });
	expect(hand.frames.at(-1)).toEqual({ type: "pong" });
});

test("[P19] a socket follows 64 requests, not more, until some have ended", async () => {
	const hand = await gateway().open();
	const all = await Promise.all(Array.from({ length: 64 }, (_, at) => submit(hand, `s${at}`)));
	expect((await submit(hand, "over")).reply).toMatchObject({ type: "error", code: "too_many_requests" });
	const [first] = all;
	if (!first) throw new Error("a request was expected");
	await tell(first.address);
	await endOf(hand, first.request);
	expect((await submit(hand, "again")).reply).toMatchObject({ status: "accepted" });
});

test("[P19] 64 requests sent at once do not slip under the limit together", async () => {
	const hand = await gateway().open();
	const all = await Promise.all(Array.from({ length: 80 }, (_, at) => submit(hand, `s${at}`)));
	expect(all.filter(({ reply }) => reply.status === "accepted")).toHaveLength(64);
});

test("[P7] a refusal carries its code and when to try again; a fault of ours no detail", async () => {
	const { ports, open } = gateway();
	const hand = await open();
	ports.admission.refusal = { refused: "too_many_requests", retryAfter: 3 };
	expect((await submit(hand, "1")).reply).toMatchObject({ type: "error", code: "too_many_requests", retry_after: 3 });
	ports.admission.take = () => Promise.reject(new Error("secret detail"));
	const { reply } = await submit(hand, "2");
	expect(reply).toMatchObject({ type: "error", code: "internal" });
	expect(JSON.stringify(reply)).not.toContain("secret detail");
	expect(ports.faults).toHaveLength(1);
	expect(ports.followers.size()).toBe(0);
});
