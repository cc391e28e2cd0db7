import { createHash } from "node:crypto";
import { type ErrorCode, errors } from "../../schemas/errors.ts";
import type { DataOf, EventDraft } from "../../schemas/events/all.ts";
import type { AttemptRow } from "../../schemas/events/inference.ts";
import type { Check, Status, Usage, UsageAttempt } from "../../schemas/events/output.ts";
import type { State as StateName } from "../../schemas/events/request.ts";
import type { Decision } from "../actor.ts";

/** How a request ends; what is absent did not happen. */
export type Ending = {
	from: StateName;
	status: Status;
	finish: DataOf<"message.completed">["finish_reason"];
	/** Model's text that clients see and that stands; null when it cannot be known (an attempt still in flight). */
	said: string | null;
	attempts: readonly AttemptRow[];
	/** `message.started` is in the log already. */
	started: boolean;
	/** Drop the model's text from this seq on. */
	retract?: { from_seq: number; reason: string };
	/** Our own words to the reader, after what the model said. */
	words?: string;
	degradation?: DataOf<"degradation.applied">;
	error?: { code: ErrorCode; message: string };
	citations?: readonly EventDraft[];
	checks?: readonly Check[];
};

/** The last entry of a request: accounting, then `message.completed`, addressed to the session (L6). */
export function end(ending: Ending, seq: number): Decision {
	const { from, status, finish, said, attempts, words, checks } = ending;
	const kept = ending.retract ? "" : said;
	const separator = kept && words ? "\n\n" : "";
	const text = kept === null ? null : kept + (words ? separator + words : "");
	const events: EventDraft[] = [];
	if (!ending.started) events.push(messageStarted(seq, "none"));
	if (ending.degradation) events.push({ type: "degradation.applied", data: ending.degradation });
	if (ending.error) {
		const { code, message } = ending.error;
		events.push({ type: "request.error", data: { code, stage: from, retryable: errors[code].retryable, message } });
	}
	if (ending.retract) events.push({ type: "output_text.retracted", data: ending.retract });
	if (words) events.push({ type: "output_text.delta", data: { text: separator + words } });
	if (text) events.push({ type: "output_text.done", data: { text, text_sha256: sha256(text) } });
	events.push(...(ending.citations ?? []));
	if (checks) {
		const verdict = checks.every(({ passed }) => passed) ? "pass" : "block";
		events.push({ type: "validation.completed", data: { checks: [...checks], verdict, release_mode: "stream" } });
	}
	events.push({ type: "state.entered", data: { from, to: "ended" } });
	events.push({ type: "usage.completed", data: usageOf(attempts, status !== "completed" && status !== "refused") });
	events.push({
		type: "message.completed",
		data: {
			status,
			finish_reason: finish,
			text_sha256: text === null ? null : sha256(text),
			final_seq: seq + events.length,
		},
	});
	return { audience: "session", final: true, events };
}

/** The id derives from the event's own number; it is unique within the request. */
export const messageStarted = (seq: number, model: string): EventDraft => ({
	type: "message.started",
	data: { message_id: `m_${seq}`, model_hint: model, resumable: true },
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Adds attempts up; totals contain the cached and the reasoning tokens, as providers report them. */
export function usageOf(attempts: readonly AttemptRow[], partial: boolean): Usage {
	const rows = attempts.map(
		({ attempt, provider, model, outcome, tokens, cost_micros, estimated }): UsageAttempt => ({
			attempt,
			provider,
			model,
			outcome,
			input_tokens: tokens.uncached_input + tokens.cache_read + tokens.cache_write,
			output_tokens: tokens.output + tokens.reasoning,
			cached_tokens: tokens.cache_read,
			reasoning_tokens: tokens.reasoning,
			cost_micros,
			estimated,
		}),
	);
	const sum = (field: "input_tokens" | "output_tokens" | "cached_tokens" | "reasoning_tokens" | "cost_micros") =>
		rows.reduce((total, row) => total + row[field], 0);
	return {
		input_tokens: sum("input_tokens"),
		output_tokens: sum("output_tokens"),
		cached_tokens: sum("cached_tokens"),
		reasoning_tokens: sum("reasoning_tokens"),
		cost_micros: sum("cost_micros"),
		currency: "USD",
		attempts: rows,
		partial,
		estimated: rows.some(({ estimated }) => estimated),
	};
}
