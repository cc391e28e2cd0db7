import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectBus } from "../infra/bus/connect.ts";
import { jetStreamLog } from "../infra/bus/jetstream-log.ts";
import { type Link, openLink } from "../infra/bus/link.ts";
import { ensureStreams } from "../infra/bus/streams.ts";
import { silent, startTestNats, type TestNats } from "../infra/testing/nats.ts";
import { type Entry, isEnd } from "../schemas/entry.ts";
import { type EventFrame, framesOf } from "../schemas/frames.ts";
import { LOG_STREAM } from "../subjects/catalog.ts";
import { isConflict, type Log } from "../subjects/log.ts";
import { randomRequestId } from "../subjects/subjects.ts";
import type { Follower, Sink } from "./attach.ts";
import { findFollowed, resumption, submitFollowed } from "./followed.ts";
import { type FollowersTiming, openFollowers } from "./followers.ts";
import { alice, bob, memoryPorts, stranger } from "./testing/memory-ports.ts";
import { storyOf } from "./testing/story.ts";

let nats: TestNats;
let link: Link;
let log: Log;
beforeAll(async () => {
	nats = await startTestNats();
	link = openLink(await connectBus({ url: nats.url, token: nats.token, name: "attach", log: silent }));
	await ensureStreams(link.connection, 24);
	log = jetStreamLog({ link, writer: "attach", patienceMs: 20_000 });
});
afterAll(async () => {
	await link?.close();
	await nats?.[Symbol.asyncDispose]();
});

/** A long silence, so that nothing but the case at hand makes a follower read. */
const never: FollowersTiming = { silentMs: 600_000, tickMs: 600_000 };

/** A log whose reads are counted and whose pushes a test may lose. */
function watched(log: Log) {
	const seen = { reads: 0, lose: (_: Entry) => false };
	const wrapped: Log = {
		...log,
		read(address, position) {
			seen.reads++;
			return log.read(address, position);
		},
		follow: (what, on) => log.follow(what, (entry) => (seen.lose(entry) ? undefined : on(entry))),
	};
	return { log: wrapped, seen };
}

function open(log: Log, timing = never) {
	const followers = openFollowers(log, timing);
	onTestFinished(() => followers[Symbol.dispose]());
	return { ...memoryPorts(log), followers };
}

const submitted = async (ports: ReturnType<typeof open>, idempotencyKey = randomRequestId()) => {
	const result = await submitFollowed(ports, { identity: alice, body: { input: "hi" }, door: "http", idempotencyKey });
	if (result.outcome === "stored") throw new Error("a request in the log was expected");
	return { ...result, idempotencyKey };
};

/** A sink that takes `room` entries until it is drained. */
function collect(follower: Follower, room = Number.POSITIVE_INFINITY) {
	const frames: EventFrame[] = [];
	const outcome = Promise.withResolvers<string>();
	const waiting: { count: number; resolve(): void }[] = [];
	const sink: Sink = {
		clear: () => room > 0,
		push(_, more) {
			room--;
			frames.push(...more);
			for (const { count, resolve } of waiting) if (frames.length >= count) resolve();
		},
		ended: () => outcome.resolve("ended"),
		gone: outcome.resolve,
	};
	return {
		frames,
		sink,
		outcome: outcome.promise,
		atLeast: (count: number) =>
			new Promise<void>((resolve) => {
				if (frames.length >= count) resolve();
				else waiting.push({ count, resolve });
			}),
		drain(more: number) {
			room = more;
			follower.resume();
		},
	};
}

/** What every reader has to get: the frames of the log itself. */
async function transcript(
	address: Entry | { tenant: string; request: string; session: string },
): Promise<EventFrame[]> {
	let prev = 0;
	return (await log.read(address, 0)).flatMap((entry) => {
		const frames = framesOf(entry, prev);
		prev = frames.at(-1)?.seq ?? prev;
		return frames;
	});
}

async function wholeStory(address: { tenant: string; request: string; session: string }, deltas = 5): Promise<void> {
	const story = await storyOf(log, address);
	await story.begin();
	for (let at = 0; at < deltas; at++) await story.delta(`word ${at} `);
	await story.end();
}

test("[G2] a freshly claimed request is followed to its end without one read", async () => {
	const { log: counted, seen } = watched(log);
	const ports = open(counted);
	const { follower, entries, address, outcome } = await submitted(ports);
	const before = seen.reads;
	const story = await storyOf(log, address);
	// Two entries are pushed before it starts, behind the push of the claim itself.
	await story.begin();
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	expect(got.frames.map(({ type }) => type)).toEqual(["request.accepted", "message.started", "state.entered"]);
	await story.delta("live");
	await story.end();
	expect([outcome, await got.outcome]).toEqual(["accepted", "ended"]);
	expect(got.frames).toEqual(await transcript(address));
	expect(seen.reads).toBe(before);
	expect(ports.followers.size()).toBe(0);
});

test("[G2] what was pushed between the claim and the start is delivered, in order and once", async () => {
	const ports = open(log);
	const { follower, entries, address } = await submitted(ports);
	await wholeStory(address, 100);
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	expect(await got.outcome).toBe("ended");
	expect(got.frames).toEqual(await transcript(address));
});

test("[L4] five identical submits: one accepted, four attached, five equal transcripts", async () => {
	const ports = open(log);
	const key = randomRequestId();
	const five = await Promise.all(Array.from({ length: 5 }, () => submitted(ports, key)));
	const all = five.map(({ follower, entries }) => {
		const got = collect(follower);
		follower.start(entries, 0, got.sink);
		return got;
	});
	const [first] = five;
	if (first) await wholeStory(first.address);
	await Promise.all(all.map(({ outcome }) => outcome));
	expect(five.map(({ outcome }) => outcome).sort()).toEqual([
		"accepted",
		"attached",
		"attached",
		"attached",
		"attached",
	]);
	expect(new Set(all.map(({ frames }) => JSON.stringify(frames))).size).toBe(1);
	expect(all[0]?.frames.length).toBeGreaterThan(8);
});

test("[G2] lost pushes are read from the log when the next one shows the gap", async () => {
	const { log: lossy, seen } = watched(log);
	let pushes = 0;
	seen.lose = () => pushes++ % 3 === 1;
	const ports = open(lossy);
	const { follower, entries, address } = await submitted(ports);
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	seen.lose = (entry) => !isEnd(entry) && pushes++ % 3 === 1;
	await wholeStory(address, 20);
	expect(await got.outcome).toBe("ended");
	expect(got.frames).toEqual(await transcript(address));
});

test("[G2] a follower that hears nothing compares with the log and finds the end", async () => {
	const { log: deaf, seen } = watched(log);
	const ports = open(deaf, { silentMs: 50, tickMs: 20 });
	const { follower, entries, address } = await submitted(ports);
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	seen.lose = () => true;
	await wholeStory(address);
	expect(await got.outcome).toBe("ended");
	expect(got.frames).toEqual(await transcript(address));
});

test("[G3] a resume at every seq gives exactly the rest, [G7] with the same prev", async () => {
	const ports = open(log);
	const { address, follower } = await submitted(ports);
	follower.close();
	await wholeStory(address);
	const all = await transcript(address);
	const last = all.at(-1)?.seq ?? 0;
	expect(last).toBeGreaterThan(all.length);
	for (let after = 0; after <= last; after++) {
		const resumed = resumption(await findFollowed(ports, alice, address.request), after);
		if (resumed.resumed !== "completed") throw new Error(`"completed" was expected, got ${resumed.resumed}`);
		const got = collect(resumed.follower);
		resumed.follower.start(resumed.entries, after, got.sink);
		expect(await got.outcome).toBe("ended");
		expect(got.frames).toEqual(all.filter(({ seq }) => seq > after));
	}
	expect(ports.followers.size()).toBe(0);
});

test("[G3] a resume in the middle of a running request: the suffix, then live, nothing twice", async () => {
	const ports = open(log);
	const { address, follower } = await submitted(ports);
	follower.close();
	const story = await storyOf(log, address);
	await story.begin();
	for (let at = 0; at < 10; at++) await story.delta(`${at} `);
	const middle = (await transcript(address))[5]?.seq ?? 0;
	const resumed = resumption(await findFollowed(ports, alice, address.request), middle);
	if (resumed.resumed !== "recovered") throw new Error(`"recovered" was expected, got ${resumed.resumed}`);
	await story.delta("between read and start ");
	const got = collect(resumed.follower);
	resumed.follower.start(resumed.entries, middle, got.sink);
	await story.delta("live");
	await story.end();
	expect(await got.outcome).toBe("ended");
	expect(got.frames).toEqual((await transcript(address)).filter(({ seq }) => seq > middle));
});

test("[G3] a cursor beyond the tail is diverged, running or ended, [G4] and of somebody else's request unknown", async () => {
	const ports = open(log);
	const { address, follower } = await submitted(ports);
	follower.close();
	const of = async (identity: typeof alice, after: number) => {
		const resumed = resumption(await findFollowed(ports, identity, address.request), after);
		return resumed.resumed === "gone" ? resumed.reason : resumed.resumed;
	};
	expect(await of(alice, 2)).toBe("diverged");
	await wholeStory(address);
	expect(await of(alice, 1_000)).toBe("diverged");
	expect([await of(bob, 1_000), await of(bob, 0), await of(stranger, 0)]).toEqual(["unknown", "unknown", "unknown"]);
	expect(ports.followers.size()).toBe(0);
});

test("[G3] when the log has expired, its result is all there is, for its own principal", async () => {
	const ports = open(log);
	const request = randomRequestId();
	const final = {
		request_id: request,
		session_id: "-",
		status: "completed" as const,
		output_text: "",
		citations: [],
		usage: null,
		finish_reason: "stop",
		final_seq: 9,
	};
	ports.results.rows.set(`acme/${request}`, { fingerprint: "", principal: "alice", final });
	const of = async (identity: typeof alice, after: number) =>
		resumption(await findFollowed(ports, identity, request), after);
	expect(await of(alice, 3)).toEqual({ resumed: "result", final });
	expect(await of(alice, 10)).toEqual({ resumed: "gone", reason: "diverged" });
	expect(await of(bob, 3)).toEqual({ resumed: "gone", reason: "unknown" });
});

test("[G5] a sink that is full keeps a cursor only, and loses nothing", async () => {
	const ports = open(log);
	const { follower, entries, address } = await submitted(ports);
	const got = collect(follower, 3);
	follower.start(entries, 0, got.sink);
	await wholeStory(address, 30);
	await got.atLeast(4);
	const stuck = got.frames.length;
	for (const count of [1, 5, 2]) {
		got.drain(count);
		await got.atLeast(stuck + count);
	}
	got.drain(Number.POSITIVE_INFINITY);
	expect(await got.outcome).toBe("ended");
	expect(got.frames).toEqual(await transcript(address));
});

test("[G3] a log that lost its tail under a follower is diverged, whether its positions are used again or not", async () => {
	const jsm = await jetstreamManager(link.connection);
	const ports = open(log);
	const { follower, entries, address } = await submitted(ports);
	const story = await storyOf(log, address);
	await story.begin();
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	await got.atLeast(3);
	const lost = await log.tail(address.tenant, address.request);
	await jsm.streams.deleteMessage(LOG_STREAM, lost?.position ?? 0);
	follower.check();
	expect(await got.outcome).toBe("diverged");

	const second = await submitted(ports);
	const other = collect(second.follower);
	second.follower.start(second.entries, 0, other.sink);
	const delta = { actor: "inference", audience: "stream", cause: 1, final: false, attempt: 1 } as const;
	const [claim] = second.entries;
	if (!claim) throw new Error("a claim was expected");
	const first = await log.append({ ...delta, events: [{ type: "output_text.delta", data: { text: "one" } }] }, claim);
	if (isConflict(first)) throw new Error("no conflict was expected");
	await other.atLeast(2);
	await jsm.streams.deleteMessage(LOG_STREAM, first.position);
	await log.append({ ...delta, events: [{ type: "output_text.delta", data: { text: "two" } }] }, claim);
	expect(await other.outcome).toBe("diverged");
	expect(other.frames).toHaveLength(2);
});

test("[G3] a log that is gone altogether is expired", async () => {
	const jsm = await jetstreamManager(link.connection);
	const ports = open(log);
	const { follower, entries } = await submitted(ports);
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	await jsm.streams.deleteMessage(LOG_STREAM, entries[0]?.position ?? 0);
	follower.check();
	expect(await got.outcome).toBe("expired");
});

test("[G2] a broker killed in the middle of a follow: the follower catches up after the reconnect", async () => {
	const { log: lossy, seen } = watched(log);
	const ports = open(lossy);
	const { follower, entries, address } = await submitted(ports);
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	const story = await storyOf(log, address);
	await story.begin();
	await got.atLeast(3);
	// From here on no push comes through: what is delivered later was read.
	seen.lose = () => true;
	await story.delta("before ");
	await nats.kill9();
	const appending = story.delta("during ");
	await nats.start();
	await appending;
	await got.atLeast(4);
	seen.lose = () => false;
	await story.delta("after");
	await story.end();
	expect(await got.outcome).toBe("ended");
	expect(got.frames).toEqual(await transcript(address));
});

test("a follower that is closed delivers nothing more", async () => {
	const ports = open(log);
	const { follower, entries, address } = await submitted(ports);
	const got = collect(follower);
	follower.start(entries, 0, got.sink);
	follower.close();
	await wholeStory(address);
	await link.connection.flush();
	expect(got.frames).toHaveLength(1);
});
