import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { runWorker } from "../run.ts";
import { type Delivery, pull } from "./pull.ts";
import { puppet, toolRequested } from "./testing/puppet.ts";
import { has, openStage, type Stage, type TestProcess, typesOf } from "./testing/stage.ts";

let stage: Stage;
beforeAll(async () => {
	stage = await openStage();
});
afterEach(() => stage.clear());
afterAll(() => stage[Symbol.asyncDispose]());

const ask = () => stage.begin("tools", [toolRequested("one")]);
const askMany = (count: number) => Promise.all(Array.from({ length: count }, ask));

/** Pulls and keeps what comes until the test lets it go. */
function hold({ link }: TestProcess, slots: number) {
	const inHand: { delivery: Delivery; let: () => void }[] = [];
	const seen: Delivery[] = [];
	let most = 0;
	let changed = Promise.withResolvers<void>();
	const pulling = pull({
		link,
		stream: "LOG",
		durable: "tools",
		slots,
		async handle(delivery) {
			const { promise, resolve } = Promise.withResolvers<void>();
			const one = { delivery, let: resolve };
			inHand.push(one);
			seen.push(delivery);
			most = Math.max(most, inHand.length);
			changed.resolve();
			await promise;
			inHand.splice(inHand.indexOf(one), 1);
		},
	});
	return {
		...pulling,
		seen,
		most: () => most,
		/** Acks and lets go of everything in hand. */
		finish() {
			for (const { delivery, let: letGo } of [...inHand]) {
				delivery.ack();
				letGo();
			}
		},
		async until(wanted: () => boolean) {
			while (!wanted()) {
				await changed.promise;
				changed = Promise.withResolvers<void>();
			}
		},
		inHand: () => inHand.length,
	};
}

test("[L7] a process never holds more messages than it has slots, and leaves the rest to others", async () => {
	const [a, b] = [hold(await stage.process("a"), 3), hold(await stage.process("b"), 2)];
	const asked = await askMany(12);
	await a.until(() => a.inHand() === 3);
	await b.until(() => b.inHand() === 2);
	await stage.signals.settle(stage.link);
	expect([a.inHand(), b.inHand()]).toEqual([3, 2]);
	while (a.seen.length + b.seen.length < 12) {
		a.finish();
		b.finish();
		await Promise.race([a.until(() => a.inHand() > 0), b.until(() => b.inHand() > 0)]);
	}
	expect([a.most(), b.most()]).toEqual([3, 2]);
	expect(new Set([...a.seen, ...b.seen].map(({ position }) => position)).size).toBe(12);
	for (const one of [a, b]) one.finish();
	// Nor does it get that way by asking for too many and giving them back.
	for (const { position } of asked) {
		const sent = await stage.signals.acked("tools", position);
		expect(sent.map(({ kind }) => kind)).toEqual(["ack"]);
	}
});

// Its time is less than the watchdog takes, which would help in the end.
test("[L7] a broker that was killed is pulled from again as soon as it is back, by no more than the slots", async () => {
	const process = await stage.process("a");
	const a = hold(process, 2);
	const back = new Promise<void>((resolve) => {
		process.link.onReconnect(resolve);
	});
	const own = new Promise<void>((resolve) => {
		stage.link.onReconnect(resolve);
	});
	await stage.nats.kill9();
	await stage.nats.start();
	await Promise.all([back, own]);
	await askMany(5);
	await a.until(() => a.inHand() === 2);
	await stage.signals.settle(process.link, stage.link);
	expect(a.most()).toBe(2);
	while (a.seen.length < 5) {
		a.finish();
		await a.until(() => a.inHand() > 0);
	}
	a.finish();
	expect(a.most()).toBe(2);
}, 5_000);

test("[L7] what arrives while a process stops is handed back, once: it does not come back to the one that stops", async () => {
	const a = hold(await stage.process("a"), 16);
	await askMany(1);
	await a.until(() => a.inHand() === 1);
	// On their way while the process stops; its pull for fifteen more still stands.
	const asking = askMany(12);
	const stopping = a.stop(5_000);
	const asked = await asking;
	a.finish();
	await stopping;
	const b = hold(await stage.process("b"), 16);
	await b.until(() => a.seen.length - 1 + b.seen.length >= 12);
	expect(Math.max(...b.seen.map(({ deliveries }) => deliveries))).toBeLessThanOrEqual(2);
	for (const { position } of asked) {
		const naks = stage.signals.about("tools", position).filter(({ kind }) => kind === "nak");
		expect(naks.length).toBeLessThanOrEqual(1);
	}
	b.finish();
});

test("a stop does not wait longer for a handler that hangs than it was told to", async () => {
	const a = hold(await stage.process("a"), 1);
	await ask();
	await a.until(() => a.inHand() === 1);
	await a.stop(50);
	expect(a.inHand()).toBe(1);
	a.finish();
});

test("[L7] a message that comes again to the process that holds it is only told to be worked on", async () => {
	const tools = puppet("tools");
	const a = await stage.process("a");
	a.run((context) => runWorker(tools.worker, "a", context));
	const asked = await ask();
	const call = await tools.next();
	await call.start(1);
	const before = stage.signals.about("tools", asked.position).length;
	await stage.signals.redeliver("tools", asked.position);
	const sent = await stage.signals.until("tools", asked.position, (all) => all.some(({ delivery }) => delivery === 2));
	expect(sent.slice(before).every(({ kind }) => kind === "working")).toBe(true);
	call.finish();
	await stage.signals.acked("tools", asked.position);
	expect(tools.runs()).toBe(1);
});

test("[L7] an event loop that stood still longer than the ack wait runs nothing twice (row 25)", async () => {
	const tools = puppet("tools");
	const a = await stage.process("a");
	a.run((context) => runWorker(tools.worker, "a", context), 16);
	const asked = await askMany(10);
	const calls = await Promise.all(asked.map(() => tools.next()));
	await Promise.all(calls.map((call) => call.start(1)));
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_600);
	const again = (sent: readonly { delivery: number }[]) => sent.some(({ delivery }) => delivery > 1);
	await Promise.all(asked.map(({ position }) => stage.signals.until("tools", position, again)));
	for (const call of calls) call.finish();
	for (const { position } of asked) {
		const sent = await stage.signals.acked("tools", position);
		expect(sent.filter(({ kind }) => kind === "ack")).toHaveLength(1);
		expect(sent.filter(({ kind }) => kind === "nak")).toEqual([]);
	}
	expect(tools.runs()).toBe(10);
	for (const entry of asked)
		expect(typesOf(await stage.log.read(entry, 0))).toEqual(["tool.requested", "tool.started", "tool.completed"]);
});

test("[L7] a stop waits for what runs, and acks it", async () => {
	const tools = puppet("tools");
	const a = await stage.process("a");
	const running = a.run((context) => runWorker(tools.worker, "a", context));
	const asked = await ask();
	const call = await tools.next();
	await call.start(1);
	const stopping = running.stop();
	call.finish();
	await stopping;
	await stage.signals.acked("tools", asked.position);
});

test("[L7] a stop ends although a worker hangs; it is left, writes nothing more, and another process takes over", async () => {
	const tools = puppet("tools");
	const [a, b] = [await stage.process("a"), await stage.process("b")];
	const running = a.run((context) => runWorker(tools.worker, "a", context));
	const asked = await ask();
	const hung = await tools.next();
	await hung.start(1);
	await running.stop();
	expect(hung.signal.aborted).toBe(true);
	await hung.over;
	b.run((context) => runWorker(tools.worker, "b", context));
	const call = await tools.next();
	expect(call.by).toBe("b");
	await call.start(2);
	call.finish();
	await stage.until(asked, has("tool.completed"));
	await stage.signals.acked("tools", asked.position);
	expect((await stage.log.read(asked, 0)).map(({ writer }) => writer)).toEqual(["test", "a", "b", "b"]);
}, 12_000);
