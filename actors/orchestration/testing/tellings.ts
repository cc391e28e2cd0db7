import type { Entry } from "../../../schemas/entry.ts";
import type { DataOf, EventDraft } from "../../../schemas/events/all.ts";
import type { AttemptRow, ToolCall } from "../../../schemas/events/inference.ts";
import type { Evidence } from "../../../schemas/events/retrieval.ts";
import { heard, type Telling } from "./given.ts";
import { askedOf, BEGUN_AT } from "./log.ts";

export const DEADLINE_AT = BEGUN_AT + 30_000;

export const accepted = (input: string, roles: string[] = ["agent"]): DataOf<"session.loaded">["accepted"] => ({
	feature: "desk",
	config_sha: "c1",
	principal: "p",
	roles,
	input,
	accepted_at: BEGUN_AT,
	deadline_at: DEADLINE_AT,
});

/** The session opens a turn and asks for the deadline. */
export const loaded = (data: Partial<DataOf<"session.loaded">> & Pick<DataOf<"session.loaded">, "accepted">): Telling =>
	heard(
		"session",
		{ type: "session.loaded", data: { window: [], dropped_turns: 0, version: 1, ...data } },
		{ type: "timer.requested", data: { timer: "deadline", at: DEADLINE_AT } },
	);

export const asks = (input: string, roles?: string[]): Telling => loaded({ accepted: accepted(input, roles) });

export const sessionBusy: Telling = heard("session", {
	type: "request.error",
	data: { code: "session_busy", stage: "session", retryable: true, message: "the session has an open turn (r2)" },
});

export const cancelled: Telling = (log) => ({
	...heard("gateway", { type: "cancel.requested", data: { by: "p" } })(log),
	final: false,
	attempt: 0,
});

const fired =
	(timer: string): Telling =>
	(log) => ({
		...heard("runner", { type: "timer.fired", data: { timer, at: BEGUN_AT } })(log),
		final: false,
		attempt: 0,
	});
export const deadlineFired = fired("deadline");
export const graceFired = fired("grace");

export const passage = (n: number, text: string, more: Partial<Evidence> = {}): Evidence => ({
	n,
	document_id: `d${n}`,
	chunk_id: `d${n}.1`,
	title: `Chapter ${n}`,
	text,
	tokens: 20,
	ranks: { lexical: n },
	rerank_score: 0.9,
	ingested_at: BEGUN_AT,
	...more,
});

export const found = (...documents: Evidence[]): Telling =>
	heard("retrieval", { type: "retrieval.completed", data: { rewrites: [], documents, dropped: [], took_ms: 3 } });

export const searchFailed: Telling = heard("retrieval", {
	type: "retrieval.failed",
	data: { code: "engine_down", message: "no answer from the search engine" },
});

export const row = (more: Partial<AttemptRow> = {}): AttemptRow => ({
	attempt: 1,
	provider: "first",
	model: "large",
	outcome: "completed",
	tokens: { uncached_input: 100, cache_read: 10, cache_write: 5, output: 20, reasoning: 2 },
	cost_micros: 400,
	estimated: false,
	...more,
});

type Ended = DataOf<"inference.attempt_ended">;

export const attemptEnded = (more: Partial<Ended>): EventDraft => ({
	type: "inference.attempt_ended",
	data: {
		...row(),
		text: "",
		finish_reason: "stop",
		tool_calls: [],
		error: null,
		retry_after_ms: null,
		first_text_at: null,
		attempts: [row()],
		...more,
	},
});

/** The model's answer, with its text in the same entry. */
export const answers = (text: string, more: Partial<Ended> = {}): Telling =>
	heard(
		"inference",
		...(text === "" ? [] : [{ type: "output_text.delta" as const, data: { text } }]),
		attemptEnded({ text, ...more }),
	);

export const breaksOff = (text: string, kind = "cut"): Telling =>
	answers(text, {
		outcome: "failed",
		finish_reason: null,
		error: { kind, message: "the stream ended without an end" },
		attempts: [row({ outcome: "failed" })],
	});

export const callsFor = (...names: string[]): ToolCall[] =>
	names.map((name) => ({ id: "model_1", name, arguments: '{"order":"7"}' }));

/** The model asks for tools, under ids that repeat. */
export const calls = (...names: string[]): Telling =>
	answers("", { finish_reason: "tool_calls", tool_calls: callsFor(...names) });

/** The id of the n-th call of the whole request, from 0. */
function callAt(log: readonly Entry[], at: number): { tool_call_id: string; name: string } {
	const ask = askedOf(log, "tool.requested")[at];
	if (ask?.type !== "tool.requested") throw new Error(`the log is expected to hold ${at + 1} tool calls`);
	const { tool_call_id, name } = ask.data;
	return { tool_call_id, name };
}

export const toolSays =
	(at: number, result: string): Telling =>
	(log) =>
		heard("tools", { type: "tool.completed", data: { ...callAt(log, at), result, truncated: false, took_ms: 2 } })(log);

export const toolFails =
	(at: number, code: DataOf<"tool.failed">["code"]): Telling =>
	(log) =>
		heard("tools", {
			type: "tool.failed",
			data: { ...callAt(log, at), code, message: `it said ${code}`, outcome: "failed", took_ms: 2 },
		})(log);
