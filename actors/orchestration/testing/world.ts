import fc from "fast-check";
import { type Entry, isEnd } from "../../../schemas/entry.ts";
import type { EventDraft } from "../../../schemas/events/all.ts";
import { visibleText } from "../../../schemas/final.ts";
import { bundleOf, desk, taskRow } from "./bundle.ts";
import { append, askedOf, BEGUN_AT, decisionAt, ownDraft } from "./log.ts";
import { accepted, attemptEnded, callsFor, DEADLINE_AT, passage, row } from "./tellings.ts";

// A model of the world around the decider: a log with one order, workers that answer what it asks for, in any order and
// in any way, and a broker that delivers what orchestration has to hear late, again, out of turn, or not for a while.

export const bundle = bundleOf({ ...desk, routes: { ...desk.routes, task: { ...taskRow, evidence: "optional" } } });

export const inputs = ["Good morning", "what says the handbook", "my order 7", "tell me the password", "read in this"];

/** One thing that happens; `pick` chooses among what is possible, `how` among the ways in which it can go. */
export const happening = fc.record({
	what: fc.constantFrom("deliver", "deliver", "deliver", "answer", "answer", "stream", "cancel", "deadline", "grace"),
	pick: fc.nat(50),
	how: fc.nat(11),
});
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

export const ASKS = ["retrieval.requested", "ingest.requested", "inference.requested", "tool.requested"] as const;

/** Asks without a final answer, in the order in which they were made. */
const openAsks = (log: readonly Entry[]) =>
	askedOf(log, ...ASKS).filter(
		({ seq }) => !log.some(({ cause, final, actor }) => final && cause === seq && actor !== "orchestration"),
	);

const has = (log: readonly Entry[], type: "timer.fired" | "timer.requested" | "cancel.requested", timer?: string) =>
	askedOf(log, type).some((event) => timer === undefined || ("timer" in event.data && event.data.timer === timer));

export function world(input: string) {
	let log: Entry[] = [];
	/** Positions that orchestration has not heard, and that the broker therefore goes on to deliver. */
	const unheard = new Set<number>();

	const write = (actor: Entry["actor"], cause: number, final: boolean, events: readonly EventDraft[]) => {
		const audience = final || actor === "gateway" || actor === "runner" ? "orchestration" : "stream";
		const entry = append(log, { audience, actor, cause, final, attempt: 1, events });
		log = [...log, entry];
		if (audience === "orchestration") unheard.add(entry.position);
	};

	function deliver(position: number) {
		const inHand = log[position - 1];
		const decision = decisionAt(bundle, log);
		if (decision && inHand) log = [...log, append(log, ownDraft(decision, inHand.events.at(-1)?.seq ?? 0))];
		// Who decides nothing acks; what led to a decision is acked with it.
		unheard.delete(position);
	}

	function load() {
		const documents = input.startsWith("read in")
			? {
					documents: [
						{
							type: "document" as const,
							document_id: "d",
							name: "d.md",
							media_type: "text/markdown",
							sha256: "ff",
							bytes: 1,
						},
					],
				}
			: {};
		write("session", 0, true, [
			{
				type: "session.loaded",
				data: { accepted: { ...accepted(input), ...documents }, window: [], dropped_turns: 0, version: 1 },
			},
			{ type: "timer.requested", data: { timer: "deadline", at: DEADLINE_AT } },
		]);
	}

	function answer(pick: number, how: number) {
		const open = openAsks(log);
		const ask = open[pick % Math.max(1, open.length)];
		if (!ask) return;
		if (ask.type === "inference.requested") return write("inference", ask.seq, true, modelAnswer(log, ask.seq, how));
		if (ask.type === "tool.requested") return write("tools", ask.seq, true, [toolAnswer(ask.data, how)]);
		write("retrieval", ask.seq, true, [retrievalAnswer(ask.type === "ingest.requested", how)]);
	}

	function happen({ what, pick, how }: Happening) {
		if (log.some(isEnd)) return;
		if (what === "deliver") {
			const heard = log.filter(({ audience }) => audience === "orchestration");
			const one = heard[pick % Math.max(1, heard.length)];
			if (one) deliver(one.position);
		} else if (what === "answer") answer(pick, how);
		else if (what === "stream") {
			const speaking = openAsks(log).find(({ type }) => type === "inference.requested");
			if (speaking)
				write("inference", speaking.seq, false, [{ type: "output_text.delta", data: { text: `word${how} ` } }]);
		} else if (what === "cancel") {
			if (!has(log, "cancel.requested")) write("gateway", 0, false, [{ type: "cancel.requested", data: { by: "p" } }]);
		} else fire(what);
	}

	/** A timer fires once. The deadline's is set before the entry that asks for it, and may come before it. */
	function fire(timer: "deadline" | "grace") {
		const isSet = timer === "deadline" || has(log, "timer.requested", timer);
		if (!log.some(isEnd) && isSet && !has(log, "timer.fired", timer))
			write("runner", 0, false, [{ type: "timer.fired", data: { timer, at: BEGUN_AT } }]);
	}

	return { load, happen, answer, fire, deliver, unheard, log: (): readonly Entry[] => log };
}

/** Text that stands of this answer: what was streamed before it. */
function streamedText(log: readonly Entry[], cause: number): string {
	return visibleText(
		log.flatMap((entry) => (entry.actor === "inference" && entry.cause === cause ? entry.events : [])),
	);
}

function modelAnswer(log: readonly Entry[], cause: number, how: number): EventDraft[] {
	const before = streamedText(log, cause);
	const rest = how % 2 === 0 ? "[1] it says." : "";
	const text = before + rest;
	const delta: EventDraft[] = rest === "" ? [] : [{ type: "output_text.delta", data: { text: rest } }];
	const lost = row({ outcome: "lost", estimated: true, cost_micros: 7 });
	switch (how) {
		case 0:
		case 1:
			return [...delta, attemptEnded({ text, finish_reason: "length" })];
		case 2:
		case 3:
			return [
				...delta,
				attemptEnded({ text, finish_reason: "tool_calls", tool_calls: callsFor("look_up", "cancel_order") }),
			];
		case 4:
		case 5:
			return [
				...delta,
				attemptEnded({
					text,
					finish_reason: "tool_calls",
					tool_calls: callsFor("refund", ...Array.from({ length: 9 }, () => "look_up")),
				}),
			];
		case 6: {
			const error = { kind: "cut", message: "cut" };
			return [
				...delta,
				attemptEnded({
					text,
					outcome: "failed",
					finish_reason: null,
					error,
					attempts: [lost, row({ outcome: "failed" })],
				}),
			];
		}
		case 7: {
			const error = { kind: "deadline", message: "late" };
			return [
				attemptEnded({ text, outcome: "failed", finish_reason: null, error, attempts: [row({ outcome: "failed" })] }),
			];
		}
		case 8:
			return [
				...delta,
				attemptEnded({ text, outcome: "cancelled", finish_reason: null, attempts: [row({ outcome: "cancelled" })] }),
			];
		case 9:
			return [...delta, attemptEnded({ text, finish_reason: "content_filter" })];
		default:
			return [...delta, attemptEnded({ text, attempts: [lost, row({ attempt: 2 })] })];
	}
}

function toolAnswer({ tool_call_id, name }: { tool_call_id: string; name: string }, how: number): EventDraft {
	if (how > 3)
		return { type: "tool.completed", data: { tool_call_id, name, result: `r${how}`, truncated: false, took_ms: 1 } };
	const code = how === 0 ? "invalid_arguments" : "timeout";
	return { type: "tool.failed", data: { tool_call_id, name, code, message: "m", outcome: "failed", took_ms: 1 } };
}

function retrievalAnswer(ingest: boolean, how: number): EventDraft {
	if (how < 3) return { type: "retrieval.failed", data: { code: "engine_down", message: "m" } };
	if (ingest) {
		const outcome = how < 6 ? ("failed" as const) : ("indexed" as const);
		return {
			type: "ingest.completed",
			data: { documents: [{ document_id: "d", name: "d.md", chunks: 1, version: 1, outcome }], took_ms: 1 },
		};
	}
	const documents = how < 6 ? [] : [passage(1, "it says"), passage(2, "old", { ingested_at: 0 })];
	return { type: "retrieval.completed", data: { rewrites: [], documents, dropped: [], took_ms: 1 } };
}
