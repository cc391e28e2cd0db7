import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type RunContext, runWorker } from "../run.ts";
import { cancelRequested, ended, type Puppet, puppet, toolRequested } from "./testing/puppet.ts";
import { has, openStage, type Stage, typesOf } from "./testing/stage.ts";

let stage: Stage;
beforeAll(async () => {
	stage = await openStage();
});
afterEach(() => stage.clear());
afterAll(() => stage[Symbol.asyncDispose]());

/** Processes in which the puppet is the tools' worker, once they begin. */
async function processes(tools: Puppet, ...names: string[]) {
	return Promise.all(
		names.map(async (name) => {
			const opened = await stage.process(name);
			const start = (context: RunContext) => runWorker(tools.worker, name, context);
			return { ...opened, begin: (slots = 4) => opened.run(start, slots) };
		}),
	);
}

test("[L8] the work of a killed process goes on elsewhere as the next attempt, with what the log holds of it", async () => {
	const tools = puppet("tools");
	const [a, b] = await processes(tools, "a", "b");
	a?.begin();
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const lost = await tools.next();
	await lost.start(1);
	await a?.kill();
	b?.begin();
	const next = await tools.next();
	expect([next.by, typesOf(next.prior)]).toEqual(["b", ["tool.started"]]);
	await next.start(2);
	next.finish();
	await stage.signals.acked("tools", asked.position);
	const entries = await stage.log.read(asked, 0);
	expect(entries.map(({ attempt, final, writer }) => [attempt, final, writer])).toEqual([
		[0, false, "test"],
		[1, false, "a"],
		[2, false, "b"],
		[2, true, "b"],
	]);
});

test("[L5] a superseded worker neither acks nor naks: the message of the attempt that took over stays (rows 4, 5)", async () => {
	const tools = puppet("tools");
	const [a, b, c] = await processes(tools, "a", "b", "c");
	a?.begin(1);
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const slow = await tools.next();
	await slow.start(1);
	b?.begin(1);
	await stage.signals.redeliver("tools", asked.position);
	const taker = await tools.next();
	await taker.start(2);
	// Wakes up, meets attempt 2, and must be silent from then on.
	slow.finish();
	await slow.over;
	if (a) await stage.signals.settle(a.link);
	const ofA = () => stage.signals.about("tools", asked.position).filter(({ delivery }) => delivery === 1);
	expect(ofA().filter(({ kind }) => kind !== "working")).toEqual([]);
	const before = ofA().length;
	await b?.kill();
	c?.begin(1);
	// Only the ack wait of the killed one gives the message to a third: while a dead worker's message is held it never comes.
	const third = await tools.next();
	expect([third.by === "b", typesOf(third.prior)]).toEqual([false, ["tool.started", "tool.started"]]);
	expect(ofA()).toHaveLength(before);
	await third.start(3);
	third.finish();
	await stage.signals.acked("tools", asked.position);
});

test("[L5] a process that stood still while it was superseded says nothing more, not even that it works (row 5)", async () => {
	const tools = puppet("tools");
	const [a] = await processes(tools, "a");
	a?.begin(1);
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const call = await tools.next();
	const begun = await call.start(1);
	const told = () => stage.signals.about("tools", asked.position).filter(({ delivery }) => delivery === 1).length;
	const before = told();
	await stage.append(asked, { actor: "tools", cause: 1, attempt: 2, events: begun?.events ?? [] });
	// Its event loop stands still for longer than the ack wait.
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_100);
	await call.over;
	const next = await tools.next();
	expect(next.prior).toHaveLength(2);
	expect(told()).toBe(before);
	next.finish();
	await stage.signals.acked("tools", asked.position);
});

test("[L8] only a redelivery takes over: a first delivery that meets another's attempt stops without ack (rows 7, 10)", async () => {
	const tools = puppet("tools");
	const [a, b] = await processes(tools, "a", "b");
	a?.begin(1);
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const unbegun = await tools.next();
	b?.begin(1);
	await stage.forget("tools");
	const first = await tools.next();
	expect([unbegun.by, first.by, first.prior]).toEqual(["a", "b", []]);
	await first.start(1);
	// Its first append meets the attempt of the other process; the promise of a worker that is not wanted stays open.
	void unbegun.start(1);
	await unbegun.over;
	if (a) await stage.signals.settle(a.link);
	first.finish();
	await stage.signals.acked("tools", asked.position);
	const entries = await stage.log.read(asked, 0);
	expect(typesOf(entries)).toEqual(["tool.requested", "tool.started", "tool.completed"]);
	expect(entries.map(({ writer }) => writer)).toEqual(["test", "b", "b"]);
	expect(stage.signals.about("tools", asked.position).filter(({ kind }) => kind !== "working")).toHaveLength(1);
});

test("[L5] an end of the request, found in the log, is reason enough to ack work that nobody wants (row 6)", async () => {
	const tools = puppet("tools");
	const [a] = await processes(tools, "a");
	a?.begin();
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const call = await tools.next();
	await call.start(1);
	await stage.append(asked, { audience: "session", actor: "orchestration", final: true, events: [ended] });
	// No word from the worker: the tick of the runner finds the end (L7).
	await call.over;
	await stage.signals.acked("tools", asked.position);
	expect(typesOf(await stage.log.read(asked, 0))).toEqual(["tool.requested", "tool.started", "message.completed"]);
});

test("[L7] a cancel whose push is lost is found at the tick; only the final entry follows it", async () => {
	const tools = puppet("tools");
	const [a] = await processes(tools, "a");
	a?.begin();
	const asked = await stage.begin("tools", [toolRequested("one")]);
	const call = await tools.next();
	await call.start(1);
	await stage.append(asked, { audience: "orchestration", events: [cancelRequested] });
	const entries = await stage.until(asked, has("tool.failed"));
	expect(entries.map(({ final }) => final)).toEqual([false, false, false, true]);
	expect(call.signal.reason).toBe("cancelled");
	await stage.signals.acked("tools", asked.position);
});

test("[L5] the answers of several asks are all in the log before the ack; a takeover repeats none of them (row 15)", async () => {
	const tools = puppet("tools");
	const [a, b] = await processes(tools, "a", "b");
	a?.begin();
	const asked = await stage.begin("tools", [toolRequested("one"), toolRequested("two"), toolRequested("three")]);
	const calls = [await tools.next(), await tools.next(), await tools.next()];
	for (const call of calls) await call.start(1);
	for (const call of calls.slice(0, 2)) call.finish();
	await stage.until(asked, (entries) => entries.filter(({ final }) => final).length === 2);
	if (a) await stage.signals.settle(a.link);
	expect(stage.signals.about("tools", asked.position).some(({ kind }) => kind === "ack")).toBe(false);
	await a?.kill();
	b?.begin();
	const last = await tools.next();
	expect(last.ask.data.tool_call_id).toBe("three");
	await last.start(2);
	last.finish();
	await stage.signals.acked("tools", asked.position);
	expect(tools.runs()).toBe(4);
	const finals = (await stage.log.read(asked, 0)).filter(({ final }) => final);
	expect(finals.map(({ cause }) => cause)).toEqual([1, 2, 3]);
});

test("[L5] who took over one ask holds the message: the loser starts none of the others", async () => {
	const tools = puppet("tools");
	const [a, b] = await processes(tools, "a", "b");
	a?.begin(1);
	const asked = await stage.begin("tools", [toolRequested("one"), toolRequested("two")]);
	const mine = [await tools.next(), await tools.next()];
	await mine[0]?.start(1);
	b?.begin(1);
	await stage.signals.redeliver("tools", asked.position);
	const theirs = [await tools.next(), await tools.next()];
	await theirs[0]?.start(2);
	void mine[1]?.start(1);
	await Promise.all(mine.map((call) => call.over));
	await theirs[1]?.start(1);
	for (const call of theirs) call.finish();
	const [ack] = (await stage.signals.acked("tools", asked.position)).filter(({ kind }) => kind === "ack");
	expect(ack?.delivery).toBe(2);
	const starts = (await stage.log.read(asked, 0)).filter((entry) => has("tool.started")([entry]));
	expect(starts.map(({ writer, cause }) => [writer, cause])).toEqual([
		["a", 1],
		["b", 1],
		["b", 2],
	]);
});
