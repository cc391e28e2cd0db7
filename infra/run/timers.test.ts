import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Entry } from "../../schemas/entry.ts";
import type { EventDraft } from "../../schemas/events/all.ts";
import type { Log } from "../../subjects/log.ts";
import { dueTimerSubject, newSessionId, randomRequestId } from "../../subjects/subjects.ts";
import { runTimers } from "../run.ts";
import type { Delivery } from "./pull.ts";
import { ended, toolRequested } from "./testing/puppet.ts";
import { has, openStage, type Stage, typesOf } from "./testing/stage.ts";
import { fire, withTimers } from "./timers.ts";
import { MAX_DELIVERIES } from "./worker.ts";

let stage: Stage;
let log: Log;
beforeAll(async () => {
	stage = await openStage();
	const { run, log: own } = await stage.process("timers");
	log = own;
	run(runTimers);
});
afterAll(() => stage[Symbol.asyncDispose]());

const timerAt = (timer: string, at: number): EventDraft => ({ type: "timer.requested", data: { timer, at } });
const asking = (timer: string, at: number) =>
	({
		audience: "orchestration",
		actor: "session",
		cause: 1,
		final: true,
		attempt: 0,
		events: [timerAt(timer, at)],
	}) as const;

/** A message of a due timer, as the broker delivers it. */
const due = (of: Pick<Entry, "tenant" | "request" | "session">, timer: string, deliveries = 1): Delivery => ({
	subject: dueTimerSubject({ ...of, timer }),
	data: new Uint8Array(),
	position: 1,
	deliveries,
	ack() {},
	working() {},
	handBack() {},
});
const firedIn = (entries: readonly Entry[]): number => typesOf(entries).filter((type) => type === "timer.fired").length;

test("[L10] a timer is due in its request's log, as an answer to the event that asked for it", async () => {
	const start = await stage.begin("session", [toolRequested("any")], "gateway");
	await log.append(asking("deadline", Date.now() + 300), start);
	const entries = await stage.until(start, has("timer.fired"));
	expect(entries.at(-1)).toMatchObject({
		audience: "orchestration",
		actor: "runner",
		cause: 2,
		events: [{ type: "timer.fired", data: { timer: "deadline" } }],
	});
});

test("[L10] the timer is set before its entry is appended: a crash between the two leaves nobody waiting (row 28)", async () => {
	const start = await stage.begin("session", [toolRequested("any")], "gateway");
	const crashing = withTimers(
		{
			...stage.log,
			append: async () => {
				throw new Error("the process dies here");
			},
		},
		stage.link,
		5_000,
	);
	await expect(crashing.append(asking("deadline", Date.now() + 200), start)).rejects.toThrow("dies here");
	const entries = await stage.until(start, has("timer.fired"));
	expect(typesOf(entries)).toEqual(["tool.requested", "timer.fired"]);
});

test("[L10] a timer id that fired and is set again at position 0 is in the log once (row 35)", async () => {
	const start = await stage.begin("session", [toolRequested("any")], "gateway");
	const asked = await log.append(asking("deadline", Date.now()), start);
	await stage.until(start, has("timer.fired"));
	const tail = await stage.log.tail(start.tenant, start.request);
	if ("conflict" in asked || !tail) throw new Error("the log is expected to hold the timer");
	const acks = await acksOfTimers();
	await log.append(asking("deadline", Date.now()), tail);
	// The broker does deliver it a second time; that one is acked and not written.
	await acks.more(1);
	expect(firedIn(await stage.log.read(start, 0))).toBe(1);
});

test("[L10] a due timer that is delivered again, at once or to two processes, is written once (row 35)", async () => {
	const start = await stage.begin("session", [toolRequested("any")], "gateway");
	const fired = await Promise.all([1, 2, 3, 4].map(() => fire(stage.log, due(start, "approval"), 1)));
	expect(fired).toEqual([true, true, true, true]);
	expect(firedIn(await stage.log.read(start, 0))).toBe(1);
});

test("[L6] a timer that is due after the end is acked and not written", async () => {
	const start = await stage.begin("session", [ended], "orchestration");
	expect(await fire(stage.log, due(start, "deadline"), 1)).toBe(true);
	expect(firedIn(await stage.log.read(start, 0))).toBe(0);
});

test("[L10] a timer that is due before its request is in the log is tried again, and given up when the log stays empty", async () => {
	const request = randomRequestId();
	const address = { tenant: "acme", request, session: newSessionId(request) };
	expect(await fire(stage.log, due(address, "deadline"), 1)).toBe(false);
	expect(await fire(stage.log, due(address, "deadline", MAX_DELIVERIES + 1), 1)).toBe(true);
});

test("[L10] a timer outlives the broker: set before a kill -9, due after the restart", async () => {
	const start = await stage.begin("session", [toolRequested("any")], "gateway");
	await log.append(asking("deadline", Date.now() + 1_500), start);
	const back = new Promise<void>((resolve) => {
		stage.link.onReconnect(resolve);
	});
	await stage.nats.kill9();
	await stage.nats.start();
	await back;
	const entries = await stage.until(start, has("timer.fired"));
	expect(firedIn(entries)).toBe(1);
});

/** Waits for acks of the timers' consumer beyond those of everything that is due by now. */
async function acksOfTimers() {
	const manager = await jetstreamManager(stage.link.connection);
	const info = () => manager.consumers.info("TIMERS", "timers");
	let known = await info();
	while (known.num_ack_pending > 0) known = await info();
	return {
		async more(than: number) {
			while ((await info()).ack_floor.consumer_seq < known.ack_floor.consumer_seq + than)
				await stage.link.connection.flush();
		},
	};
}
