import { createHash } from "node:crypto";
import { type ErrorCode, errors } from "../../schemas/errors.ts";
import type { DataOf, EventDraft } from "../../schemas/events/all.ts";
import type { AttemptRow } from "../../schemas/events/inference.ts";
import type { Check, Status, Trace } from "../../schemas/events/output.ts";
import type { State as StateName } from "../../schemas/events/request.ts";
import type { Decision } from "../actor.ts";
import type { Live } from "./state.ts";
import { degraded } from "./trace.ts";
import { usageOf } from "./usage.ts";

/** What a state brings to the end of its request. */
export type Standing = {
	/** The state that the log names last. */
	from: StateName;
	/** Model's text that clients see and that stands; null when it cannot be known (an attempt still in flight). */
	said: string | null;
	attempts: readonly AttemptRow[];
	/** `message.started` is in the log already. */
	started: boolean;
	/** Absent for a request that was never loaded. */
	trace: Trace | undefined;
};

/** How a request ends; what is absent did not happen. */
export type Ending = Standing & {
	status: Status;
	finish: DataOf<"message.completed">["finish_reason"];
	/** Drop the model's text from this seq on. */
	retract?: { from_seq: number; reason: string };
	/** Our own words to the reader, after what the model said. */
	words?: string;
	degradation?: DataOf<"degradation.applied">;
	error?: { code: ErrorCode; message: string };
	citations?: readonly EventDraft[];
	checks?: readonly Check[];
};

/** States that are passed through within one decision have no name in the log: there they count as the one before. */
export function standing(state: Live): Standing {
	switch (state.name) {
		case "accepted":
		case "rejected":
			return { from: "accepted", said: "", attempts: [], started: false, trace: undefined };
		case "classifying":
			return { ...spoken(state), from: "accepted", started: false };
		case "assembling":
			return { ...spoken(state), from: state.from };
		case "ingesting":
		case "ingested":
			return { ...spoken(state), from: "retrieving" };
		case "validating":
			return { ...spoken(state), from: "inferring" };
		case "inferring":
			return { ...spoken(state), from: "inferring", said: null, attempts: [...state.attempts, state.lost] };
		case "retrieving":
		case "calling_tools":
			return { ...spoken(state), from: state.name };
	}
}

const spoken = ({ said, attempts, trace }: Extract<Live, { said: string }>) => ({
	said,
	attempts,
	trace,
	started: true,
});

/** How an end that nobody wanted is called: with text on the screen it is an answer that is not whole. */
export const brokenStatus = ({ said }: Standing): Status => (said === "" ? "failed" : "incomplete");

/** The last entry of a request: accounting, then `message.completed`, addressed to the session (L6). `seq` is that of its first event. */
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
	const { trace, degradation } = ending;
	if (trace) events.push({ type: "trace.recorded", data: degradation ? degraded(trace, degradation) : trace });
	events.push({ type: "usage.completed", data: usageOf(attempts, status !== "completed" && status !== "refused") });
	const final_seq = seq + events.length;
	const text_sha256 = text === null ? null : sha256(text);
	events.push({ type: "message.completed", data: { status, finish_reason: finish, text_sha256, final_seq } });
	return { audience: "session", final: true, events };
}

/** The id derives from the event's own number; it is unique within the request. */
export const messageStarted = (seq: number, model: string): EventDraft => ({
	type: "message.started",
	data: { message_id: `m_${seq}`, model_hint: model, resumable: true },
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
