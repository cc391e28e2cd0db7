import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Entry } from "../../schemas/entry.ts";
import { isConflict, type Log } from "../../subjects/log.ts";
import { type AnswerWriter, DELTA_SPACING_MS, openAnswer, openChain } from "./answer.ts";
import { cancelRequested, delta, ended, toolRequested } from "./testing/puppet.ts";
import { openStage, type Stage } from "./testing/stage.ts";

let stage: Stage;
beforeAll(async () => {
	stage = await openStage();
});
afterEach(() => stage.clear());
afterAll(() => stage[Symbol.asyncDispose]());

/** A log that tells of each append before it is sent, and sends it when the test lets it. */
function watched(log: Log) {
	const sent: { at: number; text: string }[] = [];
	let gate: Promise<void> = Promise.resolve();
	let reached = Promise.withResolvers<void>();
	return {
		sent,
		/** Holds every append from now on; call what it gives to let them go. */
		hold() {
			const { promise, resolve } = Promise.withResolvers<void>();
			gate = promise;
			return resolve;
		},
		/** Resolves at the next append. */
		async next() {
			reached = Promise.withResolvers<void>();
			await reached.promise;
		},
		log: {
			...log,
			async append(draft, after) {
				sent.push({ at: performance.now(), text: textOf([{ events: draft.events }]) });
				reached.resolve();
				await gate;
				return log.append(draft, after);
			},
		} satisfies Log,
	};
}

const textOf = (entries: readonly { events: readonly { type: string; data: object }[] }[]): string =>
	entries
		.flatMap(({ events }) => events)
		.map(({ type, data }) => (type === "output_text.delta" && "text" in data ? data.text : ""))
		.join("");

function write(log: Log, asked: Entry): AnswerWriter {
	const chain = openChain({ log, after: asked, onMissed: (entry) => writer.missed(entry), mayBegin: () => true });
	const writer = openAnswer({ chain, actor: "inference", cause: 1, attempt: 1 });
	return writer;
}

test("[L9] the first delta never waits, and text that comes while an append is on its way goes with the next one", async () => {
	const asked = await stage.begin("inference", [toolRequested("one")]);
	const { log, sent, hold } = watched(stage.log);
	const letGo = hold();
	const writer = write(log, asked);
	writer.delta("a");
	// Sent within the same turn of the loop: no timer is involved.
	await Promise.resolve();
	expect(sent.map(({ text }) => text)).toEqual(["a"]);
	for (const text of "bcd") writer.delta(text);
	letGo();
	const entries = await stage.until(asked, (all) => textOf(all).length === 4);
	expect(entries.map((entry) => textOf([entry]))).toEqual(["", "a", "bcd"]);
});

test("[L9] appends of deltas are at least 20 ms apart, whatever the provider's speed (row 24)", async () => {
	const asked = await stage.begin("inference", [toolRequested("one")]);
	const { log, sent } = watched(stage.log);
	const writer = write(log, asked);
	const talking = setInterval(() => writer.delta("x"), 1);
	await stage.until(asked, (all) => all.length > 6);
	clearInterval(talking);
	await writer.finish([delta("end")]);
	const deltas = sent.slice(0, 6).map(({ at }) => at);
	for (const [at, time] of deltas.slice(1).entries())
		expect(time - (deltas[at] ?? 0)).toBeGreaterThanOrEqual(DELTA_SPACING_MS);
});

test("[L9] between the deltas of a talkative provider a cancel gets its turn (row 24)", async () => {
	const asked = await stage.begin("inference", [toolRequested("one")]);
	const writer = write(stage.log, asked);
	const talking = setInterval(() => {
		for (let at = 0; at < 100; at++) writer.delta("x");
	}, 0);
	await stage.until(asked, (all) => all.length > 3);
	const cancel = { audience: "orchestration", actor: "gateway", cause: 0, final: false, attempt: 0 } as const;
	let last = await stage.log.tail(asked.tenant, asked.request);
	let tries = 0;
	for (; last && tries < 5; tries++) {
		const result = await stage.log.append({ ...cancel, events: [cancelRequested] }, last);
		if (!isConflict(result)) break;
		// As a gateway does that has other things to do between its reads.
		for (let turn = 0; turn < 3; turn++) last = (await stage.log.read(asked, 0)).at(-1);
	}
	clearInterval(talking);
	expect(tries).toBeLessThan(5);
	await writer.finish([delta("end")]);
});

test("[L9] text that is unsent at the end goes with the final entry, also while an append is on its way", async () => {
	const asked = await stage.begin("inference", [toolRequested("one")]);
	const { log, sent, hold, next } = watched(stage.log);
	const writer = write(log, asked);
	writer.delta("a");
	await stage.until(asked, (all) => all.length === 2);
	const letGo = hold();
	const second = next();
	writer.delta("b");
	await second;
	writer.delta("c");
	const finished = writer.finish([toolRequested("end")]);
	letGo();
	await finished;
	const entries = await stage.log.read(asked, asked.position);
	expect(entries.map((entry) => [textOf([entry]), entry.final])).toEqual([
		["a", false],
		["b", false],
		["c", true],
	]);
	expect(sent).toHaveLength(3);
});

test("[L3] after a cancel nothing but the final entry follows, with the text that stands", async () => {
	const asked = await stage.begin("inference", [toolRequested("one")]);
	const { log, hold, next } = watched(stage.log);
	const writer = write(log, asked);
	writer.delta("a");
	await stage.until(asked, (all) => all.length === 2);
	await stage.append(asked, { audience: "orchestration", events: [cancelRequested] });
	const letGo = hold();
	const meeting = next();
	writer.delta("b");
	await meeting;
	letGo();
	await new Promise((resolve) => writer.signal.addEventListener("abort", resolve));
	expect(writer.signal.reason).toBe("cancelled");
	expect(await writer.write([toolRequested("more")])).toBeUndefined();
	await writer.finish([toolRequested("end")]);
	const entries = await stage.log.read(asked, 0);
	expect(entries.map((entry) => [entry.actor, textOf([entry]), entry.final])).toEqual([
		["orchestration", "", false],
		["inference", "a", false],
		["gateway", "", false],
		["inference", "b", true],
	]);
	expect(entries.at(-1)?.events.map(({ type }) => type)).toEqual(["output_text.delta", "tool.requested"]);
});

test("[L6] nothing follows the end: an answer that meets it is dropped and counts as ended", async () => {
	const asked = await stage.begin("inference", [toolRequested("one")]);
	const writer = write(stage.log, asked);
	await stage.append(asked, { audience: "session", actor: "orchestration", final: true, events: [ended] });
	await writer.finish([toolRequested("late")]);
	expect(writer.halted()).toBe("ended");
	expect((await stage.log.read(asked, 0)).at(-1)?.events).toMatchObject([{ type: "message.completed" }]);
});

test("text that arrives in whatever turn after the end of an append is sent, not left behind", async () => {
	for (let turns = 0; turns < 12; turns++) {
		const asked = await stage.begin("inference", [toolRequested("one")]);
		let spoken = false;
		const log: Log = {
			...stage.log,
			async append(draft, after) {
				const result = await stage.log.append(draft, after);
				if (!spoken) void speakLater(turns);
				spoken = true;
				return result;
			},
		};
		const writer = write(log, asked);
		const speakLater = async (turn: number) => {
			for (let at = 0; at < turn; at++) await null;
			writer.delta("b");
		};
		writer.delta("a");
		expect(textOf(await stage.until(asked, (all) => textOf(all) === "ab"))).toBe("ab");
	}
});
