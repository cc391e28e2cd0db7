import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Worker } from "../../actors/actor.ts";
import { isConflict } from "../../subjects/log.ts";
import { runWorker } from "../run.ts";
import { openLateLog, openLossyLog } from "./testing/lossy-log.ts";
import { ended, puppet, toolRequested } from "./testing/puppet.ts";
import { openStage, type Stage, typesOf } from "./testing/stage.ts";
import { MAX_ATTEMPTS, MAX_DELIVERIES, work } from "./worker.ts";

let stage: Stage;
beforeAll(async () => {
	stage = await openStage();
});
afterEach(() => stage.clear());
afterAll(() => stage[Symbol.asyncDispose]());

/** A first delivery, held well. */
const firstDelivery = () => ({ log: stage.log, redelivered: false, deliveries: 1, held: () => true });
const takenOver: Parameters<Stage["append"]>[1] = {
	actor: "tools",
	cause: 1,
	attempt: 2,
	events: [{ type: "tool.started", data: { tool_call_id: "one", name: "puppet", attempt: 2 } }],
};

test("[L8] nothing is done before the broker has the start of the attempt (row 14)", async () => {
	const tools = puppet("tools");
	const [sent, stored] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const log: typeof stage.log = {
		...stage.log,
		async append(draft, after) {
			sent.resolve();
			await stored.promise;
			return stage.log.append(draft, after);
		},
	};
	const begun = work(tools.worker, "a", asked, { ...firstDelivery(), log });
	const call = await tools.next();
	let effect = false;
	const acting = call.start(1).then(() => {
		effect = true;
	});
	await sent.promise;
	// A round trip to the broker is more than a worker that does not wait would need.
	await stage.log.tail(asked.tenant, asked.request);
	expect(effect).toBe(false);
	stored.resolve();
	await acting;
	call.finish();
	expect(await begun.done).toBe(true);
});

test("[L8] a message held longer than the ack wait before its first append is dropped: nothing is written, no ack (row 10)", async () => {
	const tools = puppet("tools");
	const asked = await stage.begin("tools", [toolRequested("one"), toolRequested("two")]);
	let held = true;
	const begun = work(tools.worker, "a", asked, { ...firstDelivery(), held: () => held });
	const calls = [await tools.next(), await tools.next()];
	held = false;
	// One that goes straight to its answer, and one that has yet to begin.
	calls[0]?.finish();
	void calls[1]?.start(1);
	expect(await begun.done).toBe(false);
	expect(await stage.log.read(asked, asked.position)).toEqual([]);
});

test("[L8] work that has begun is not dropped for a stall: it reads the log and goes on when nobody took over", async () => {
	const tools = puppet("tools");
	const asked = await stage.begin("tools", [toolRequested("one")]);
	let held = true;
	const begun = work(tools.worker, "a", asked, { ...firstDelivery(), held: () => held });
	const call = await tools.next();
	await call.start(1);
	held = false;
	expect(await begun.lapse()).toBe(true);
	call.finish();
	expect(await begun.done).toBe(true);
});

test("[L8] a stalled worker that was superseded learns it from the log before it tells the broker anything (row 5)", async () => {
	const tools = puppet("tools");
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const begun = work(tools.worker, "a", asked, firstDelivery());
	const call = await tools.next();
	await call.start(1);
	await stage.append(asked, takenOver);
	expect(await begun.lapse()).toBe(false);
	expect(await begun.done).toBe(false);
});

test("[L8] a handler that dies after every start is given up after four attempts, and the ask is answered (row 26)", async () => {
	const tools = puppet("tools");
	const a = await stage.process("a");
	a.run((context) => runWorker(tools.worker, "a", context));
	const asked = await stage.begin("tools", [toolRequested("one")]);
	for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
		const call = await tools.next();
		await call.start(attempt);
		call.fail(new Error("dies"));
		await call.over;
		await stage.signals.settle(a.link);
		await stage.signals.redeliver("tools", asked.position);
	}
	await stage.signals.acked("tools", asked.position);
	expect(tools.runs()).toBe(MAX_ATTEMPTS);
	const answer = (await stage.log.read(asked, 0)).at(-1);
	expect(answer).toMatchObject({ actor: "tools", cause: 1, final: true, audience: "orchestration" });
	expect(JSON.stringify(answer?.events)).toContain(`${MAX_ATTEMPTS} attempts were begun`);
});

test("[L8] a handler that dies before any start is given up after ten deliveries, and the ask is answered (row 26)", async () => {
	const tools = puppet("tools");
	const a = await stage.process("a");
	a.run((context) => runWorker(tools.worker, "a", context));
	const asked = await stage.begin("tools", [toolRequested("one")]);
	for (let delivery = 1; delivery <= MAX_DELIVERIES; delivery++) {
		const call = await tools.next();
		call.fail(new Error("dies"));
		await call.over;
		await stage.signals.settle(a.link);
		await stage.signals.redeliver("tools", asked.position);
	}
	await stage.signals.acked("tools", asked.position);
	expect(tools.runs()).toBe(MAX_DELIVERIES);
	expect(JSON.stringify((await stage.log.read(asked, 0)).at(-1)?.events)).toContain("deliveries brought no attempt");
});

test("[L7] a worker that waits holds its message: no redelivery, one delivery, one attempt (row 26)", async () => {
	const tools = puppet("tools");
	const [a, b] = [await stage.process("a"), await stage.process("b")];
	for (const one of [a, b]) one.run((context) => runWorker(tools.worker, one.name, context));
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const call = await tools.next();
	await call.start(1);
	// Five times half a second: longer than the ack wait.
	await stage.signals.until("tools", asked.position, (sent) => sent.length >= 5);
	call.finish();
	const sent = await stage.signals.acked("tools", asked.position);
	expect(sent.every(({ delivery, kind }) => delivery === 1 && kind !== "nak")).toBe(true);
	expect(tools.runs()).toBe(1);
});

test("[L5] the end entry is acked only after its closing was performed, however often it comes (row 32)", async () => {
	let performed = 0;
	const session: Worker<"message.completed", string> = {
		shape: "worker",
		name: "session",
		asks: ["message.completed"],
		async perform() {
			performed += 1;
			if (performed <= MAX_DELIVERIES + 2) throw new Error("the store is away");
			return [];
		},
		abandon: () => {
			throw new Error("an end entry is never given up");
		},
	};
	const a = await stage.process("a");
	const end = await stage.begin("session", [ended]);
	for (let delivery = 1; delivery <= MAX_DELIVERIES + 2; delivery++) {
		const once = work(session, "a", end, {
			log: a.log,
			redelivered: delivery > 1,
			deliveries: delivery,
			held: () => true,
		});
		await expect(once.done).rejects.toThrow("the store is away");
	}
	a.run((context) => runWorker(session, "a", context));
	await stage.signals.acked("session", end.position);
	expect(performed).toBe(MAX_DELIVERIES + 3);
	expect(await stage.log.read(end, end.position)).toEqual([]);
});

test("[L3] an ack that got lost while another took over: the start is found, and so is who stands behind it (row 9)", async () => {
	const tools = puppet("tools");
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const lossy = openLossyLog(stage.link, async () => {
		await stage.append(asked, takenOver);
	});
	const begun = work(tools.worker, "a", asked, { ...firstDelivery(), log: lossy });
	const call = await tools.next();
	let wentOn = false;
	void call.start(1).then(() => {
		wentOn = true;
	});
	expect(await begun.done).toBe(false);
	await call.over;
	expect(wentOn).toBe(false);
	expect(typesOf(await stage.log.read(asked, 0))).toEqual(["tool.requested", "tool.started", "tool.started"]);
});

test("[L3] an old publish that lands late is found by its id, not written again (row 8)", async () => {
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const late = openLateLog(stage.link);
	const result = await late.append(
		{ audience: "stream", actor: "tools", cause: 1, final: false, attempt: 1, events: [ended] },
		asked,
	);
	expect(isConflict(result)).toBe(false);
	expect(typesOf(await stage.log.read(asked, 0))).toEqual(["tool.requested", "message.completed"]);
});
