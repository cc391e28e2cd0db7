import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Decider } from "../../actors/actor.ts";
import type { Entry } from "../../schemas/entry.ts";
import type { EventDraft } from "../../schemas/events/all.ts";
import type { Log } from "../../subjects/log.ts";
import { runDecider } from "../run.ts";
import { deciding } from "./decider.ts";
import { cancelRequested, delta } from "./testing/puppet.ts";
import { has, openStage, type Stage, typesOf } from "./testing/stage.ts";
import { answer, begin, type Heard, poison, threeAnswers } from "./testing/three-answers.ts";
import { MAX_DELIVERIES } from "./worker.ts";

let stage: Stage;
beforeAll(async () => {
	stage = await openStage();
});
afterEach(() => stage.clear());
afterAll(() => stage[Symbol.asyncDispose]());

const first = { redelivered: false, deliveries: 1 };
const again = { redelivered: true, deliveries: 2 };

/** The decider as one process runs it, and how often it had to read. */
function openDecider(log: Log = stage.log, decider: Decider<Heard> = threeAnswers) {
	let reads = 0;
	const counting: Log = {
		...log,
		read(address, position) {
			reads += 1;
			return log.read(address, position);
		},
	};
	const bundle = async () => {
		throw new Error("no configuration is expected to be asked for");
	};
	return { ...deciding(decider, { log: counting, bundle, cacheSize: 10 }), reads: () => reads };
}

const start = () => stage.begin("orchestration", [begin], "session");
const heard = (to: Entry, event: EventDraft) =>
	stage.append(to, { audience: "orchestration", actor: "tools", final: true, events: [event] });
const log = (of: Entry) => stage.log.read(of, 0);
const asks = async (of: Entry) => (await log(of)).filter((entry) => has("tool.requested")([entry])).length;
const ends = async (of: Entry) => (await log(of)).filter((entry) => has("message.completed")([entry])).length;

test("[L2] a cache that lacks what another process heard is not used: the request ends (row 1)", async () => {
	const [one, two] = [openDecider(), openDecider()];
	const input = await start();
	await one.hear(input, first);
	await two.hear(await heard(input, answer), first);
	await one.hear(await heard(input, answer), first);
	await one.hear(await heard(input, answer), first);
	expect(await ends(input)).toBe(1);
});

test("[L2] an input that asks for nothing is folded before it is acked: the next decision knows it (row 33)", async () => {
	const one = openDecider();
	const input = await start();
	await one.hear(input, first);
	for (let answers = 0; answers < 3; answers++) await one.hear(await heard(input, answer), first);
	expect(await ends(input)).toBe(1);
	expect(one.reads()).toBe(0);
});

test("[L11] deltas between two inputs neither spoil the cache nor make it read", async () => {
	const one = openDecider();
	const input = await start();
	await one.hear(input, first);
	for (let answers = 0; answers < 3; answers++) {
		await stage.append(input, { actor: "inference", events: [delta("x")] });
		await one.hear(await heard(input, answer), first);
	}
	expect([await ends(input), one.reads()]).toEqual([1, 0]);
});

test("[L3] after a conflict the decider decides again from what it missed; the old decision is not written (row 2)", async () => {
	const input = await start();
	let met = false;
	const racing: Log = {
		...stage.log,
		async append(draft, after) {
			if (!met) {
				met = true;
				await heard(input, cancelRequested);
			}
			return stage.log.append(draft, after);
		},
	};
	await openDecider(racing).hear(input, first);
	expect(typesOf(await log(input))).toEqual(["timer.fired", "cancel.requested", "message.completed"]);
});

test("[L3] a cold decider folds the cancel that stands behind its input: nothing is asked for after it (row 3)", async () => {
	const input = await start();
	await heard(input, cancelRequested);
	await openDecider().hear(input, again);
	expect(typesOf(await log(input))).toEqual(["timer.fired", "cancel.requested", "message.completed"]);
});

test("[L3] a warm decider meets the cancel at the fence: nothing is asked for after it (row 3)", async () => {
	const input = await start();
	await heard(input, cancelRequested);
	await openDecider().hear(input, first);
	expect(typesOf(await log(input))).toEqual(["timer.fired", "cancel.requested", "message.completed"]);
});

test("[L5] an input that was decided and comes again is not decided again, by whatever process", async () => {
	const [one, two] = [openDecider(), openDecider()];
	const input = await start();
	await one.hear(input, first);
	await two.hear(input, again);
	// A restarted broker says that it is the first delivery.
	for (const decider of [one, two]) await decider.hear(input, first);
	expect(await asks(input)).toBe(1);
});

test("[L3] inputs of one request that come at the same time, in one process or in two, bring one decision each at most", async () => {
	const [one, two] = [openDecider(), openDecider()];
	const input = await start();
	await Promise.all([one.hear(input, first), two.hear(input, again)]);
	expect(await asks(input)).toBe(1);
	const answers = [await heard(input, answer), await heard(input, answer), await heard(input, answer)];
	await Promise.all(answers.map((entry, at) => (at === 1 ? two : one).hear(entry, first)));
	expect(await ends(input)).toBe(1);
	expect(typesOf(await log(input)).at(-1)).toBe("message.completed");
});

test("[L11] inputs of one request that one process gets at the same time are taken one after the other, without a read", async () => {
	const one = openDecider();
	const input = await start();
	await one.hear(input, first);
	const answers = [await heard(input, answer), await heard(input, answer), await heard(input, answer)];
	await Promise.all(answers.map((entry) => one.hear(entry, first)));
	expect([await ends(input), one.reads()]).toEqual([1, 0]);
});

test("[L6] nothing is decided after the end", async () => {
	const input = await start();
	const late = await heard(input, cancelRequested);
	await openDecider().hear(input, first);
	await openDecider().hear(late, first);
	await openDecider().hear(late, again);
	expect(await ends(input)).toBe(1);
});

test("[L11] a log that does not yet show the message in hand is no reason to ack it (row 20)", async () => {
	const input = await start();
	const lagging: Log = { ...stage.log, read: async () => [] };
	await expect(openDecider(lagging).hear(input, again)).rejects.toThrow(/expected up to position/);
	expect(await asks(input)).toBe(0);
});

test("[L8] an input that brings the decider down every time ends the request after ten deliveries (row 26)", async () => {
	const a = await stage.process("a");
	let deaths = 0;
	const dying: Decider<Heard> = {
		...threeAnswers,
		evolve(state, entry) {
			try {
				return threeAnswers.evolve(state, entry);
			} catch (problem) {
				deaths += 1;
				throw problem;
			}
		},
	};
	a.run((context) => runDecider(dying, context));
	const input = await stage.begin("orchestration", [poison], "session");
	await stage.signals.settle(a.link);
	const poked = setInterval(() => {
		void stage.signals.redeliver("orchestration", input.position);
	}, 20);
	const entries = await stage.until(input, has("message.completed"));
	clearInterval(poked);
	await stage.signals.acked("orchestration", input.position);
	expect(deaths).toBeGreaterThanOrEqual(MAX_DELIVERIES);
	expect(entries.at(-1)).toMatchObject({ actor: "runner", audience: "session", cause: 1, final: true });
	expect(typesOf(entries)).toEqual(["timer.fired", "request.error", "message.completed"]);
});

test("[L8] an input that was answered is not poisoned by deliveries whose acks got lost", async () => {
	const input = await start();
	await openDecider().hear(input, first);
	await openDecider().hear(input, { redelivered: true, deliveries: MAX_DELIVERIES + 1 });
	expect([await asks(input), await ends(input)]).toEqual([1, 0]);
});
