import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Entry, isEnd } from "../../schemas/entry.ts";
import type { AttemptRow } from "../../schemas/events/inference.ts";
import { visibleText } from "../../schemas/final.ts";
import { decisionAt, fold } from "./testing/log.ts";
import { ASKS, bundle, happening, inputs, world } from "./testing/world.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const addUp = (rows: readonly { cost_micros: number }[]) => rows.reduce((sum, { cost_micros }) => sum + cost_micros, 0);

function checkLog(log: readonly Entry[]) {
	const own = log.filter(({ actor }) => actor === "orchestration");
	const events = log.flatMap((entry) => entry.events);
	const ends = log.filter(isEnd);
	expect(ends.length, "[O3] one end").toBeLessThanOrEqual(1);
	expect(ends[0] ?? log.at(-1), "[O3] nothing after it").toBe(log.at(-1));
	const started = events.filter(({ type }) => type === "message.started");
	expect(started, "[O1] one message.started, first of our events").toHaveLength(own.length > 0 ? 1 : 0);
	expect(started[0]).toBe(own[0]?.events[0]);

	let name = "accepted";
	for (const entry of own) {
		const entered = entry.events.flatMap((event) => (event.type === "state.entered" ? [event.data] : []));
		const asked = entry.events.filter(({ type }) => ASKS.some((ask) => ask === type) || type === "timer.requested");
		expect(isEnd(entry) ? 1 : asked.length, "[O5] a decision ends the request or asks").toBeGreaterThan(0);
		expect(asked.length, "[O5] at most eight").toBeLessThanOrEqual(8);
		expect(entered.length, "[O2] one state.entered").toBe(entry.audience === "stream" ? 0 : 1);
		for (const { from, to } of entered) {
			expect(from, "[O2] a chain").toBe(name);
			name = to;
		}
		const heardBefore = log.slice(0, entry.after);
		const stopAt = heardBefore.some((earlier) =>
			earlier.events.some(
				({ type, data }) => type === "cancel.requested" || (type === "timer.fired" && data.timer === "deadline"),
			),
		);
		if (stopAt && !isEnd(entry)) expect(entry.audience, "[O14] nothing new after a stop").toBe("stream");
		const drafts = entry.events.map(({ type, data }) => ({ type, data }));
		expect(decisionAt(bundle, heardBefore), "[O4] the same again").toEqual({
			audience: entry.audience,
			final: entry.final,
			events: drafts,
		});
	}
	const ids = events.flatMap((event) => (event.type === "tool.requested" ? [event.data.tool_call_id] : []));
	expect(new Set(ids).size, "[O4] ids of their own").toBe(ids.length);
	if (ends[0]) checkEnd(log, ends[0]);
}

function checkEnd(log: readonly Entry[], last: Entry) {
	const [usage, done] = last.events.slice(-2);
	if (usage?.type !== "usage.completed" || done?.type !== "message.completed")
		throw new Error("[O3] usage, then completion");
	expect(done.data.final_seq).toBe(done.seq);
	const reported: AttemptRow[] = log.flatMap((entry) =>
		entry.events.flatMap((event) =>
			event.type === "inference.attempt_ended" && entry.final ? (event.data.attempts ?? []) : [],
		),
	);
	const before = fold(log.slice(0, -1));
	const estimate = before.name === "inferring" ? [before.lost] : [];
	expect(usage.data.cost_micros, "[O19] the sum of all attempts").toBe(addUp([...reported, ...estimate]));
	expect(usage.data.attempts).toHaveLength(reported.length + estimate.length);
	if (done.data.text_sha256 === null)
		expect(before.name, "[O15] no hash only where a call is in flight").toBe("inferring");
	else
		expect(done.data.text_sha256, "[O3] the hash of what clients see").toBe(
			sha256(visibleText(log.flatMap(({ events }) => events))),
		);
}

const story = fc.record({
	input: fc.constantFrom(...inputs),
	early: fc.array(happening, { maxLength: 3 }),
	later: fc.array(happening, { maxLength: 30 }),
});

test("[O1] [O2] [O3] [O4] [O5] [O14] [O15] [O19] whatever happens in whatever order, the log stays lawful and the request ends", () => {
	fc.assert(
		fc.property(story, fc.array(fc.nat(11), { minLength: 1, maxLength: 8 }), ({ input, early, later }, ways) => {
			const { load, happen, answer, fire, deliver, unheard, log } = world(input);
			for (const one of early) happen(one);
			load();
			for (const one of later) {
				happen(one);
				checkLog(log());
			}
			// The storm is over: what was not heard is delivered, what was asked is answered.
			for (let turn = 0; !log().some(isEnd); turn++) {
				expect(turn, "the request ends").toBeLessThan(40);
				for (const position of [...unheard]) if (!log().some(isEnd)) deliver(position);
				if (!log().some(isEnd)) answer(turn, ways[turn % ways.length] ?? 0);
			}
			checkLog(log());
			fire("deadline");
			expect(decisionAt(bundle, log())).toBeUndefined();
		}),
		{ seed: 20_260_101, numRuns: 1_500 },
	);
});

test("[O14] [O15] a request whose workers never answer again ends with the deadline and its grace", () => {
	fc.assert(
		fc.property(story, ({ input, early, later }) => {
			const { load, happen, fire, deliver, unheard, log } = world(input);
			for (const one of early) happen(one);
			load();
			for (const one of later) happen(one);
			const hearAll = () => {
				for (const position of [...unheard]) if (!log().some(isEnd)) deliver(position);
			};
			hearAll();
			for (const timer of ["deadline", "grace"] as const) {
				fire(timer);
				hearAll();
			}
			expect(log().filter(isEnd)).toHaveLength(1);
			checkLog(log());
		}),
		{ seed: 20_260_102, numRuns: 1_500 },
	);
});
