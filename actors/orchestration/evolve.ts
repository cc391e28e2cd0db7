import type { Entry } from "../../schemas/entry.ts";
import type { AnyEvent, DataOf } from "../../schemas/events/all.ts";
import type { AttemptRow, ToolCall } from "../../schemas/events/inference.ts";
import {
	type Course,
	DEADLINE_TIMER,
	type Found,
	GRACE_TIMER,
	type Ingested,
	type Live,
	type Routed,
	type State,
	type Step,
	type Stop,
	type ToolResult,
} from "./state.ts";
import { begun, traced } from "./trace.ts";

/** Folds one entry that orchestration heard or wrote. An event that the state does not expect changes nothing: late and repeated ones are ordinary. */
export function evolve(state: State, entry: Entry): State {
	return entry.events.reduce((before, event) => {
		const after = evolveEvent(before, event, entry);
		// An event that the state did not expect leaves no trace, but a degradation changes nothing else.
		const counts = after !== before || event.type === "degradation.applied";
		return counts && "trace" in after ? withTrace(after, traced(after.trace, event, entry)) : after;
	}, state);
}

const withTrace = <S extends Course>(state: S, trace: Course["trace"]): S =>
	trace === state.trace ? state : { ...state, trace };

function evolveEvent(state: State, event: AnyEvent, entry: Entry): State {
	if (state.name === "ended") return state;
	switch (event.type) {
		case "message.completed":
			return { name: "ended" };
		case "cancel.requested":
			return stopped(state, { kind: "cancel", at: entry.at });
		case "timer.requested":
			return event.data.timer === GRACE_TIMER ? graced(state, "none", "running") : state;
		case "timer.fired":
			if (event.data.timer === DEADLINE_TIMER) return stopped(state, { kind: "deadline", at: entry.at });
			return event.data.timer === GRACE_TIMER ? graced(state, "running", "over") : state;
		case "session.loaded":
			return state.name === "accepted" ? loaded(state.stop, event.data) : state;
		case "request.error":
			return state.name === "accepted" && entry.actor === "session"
				? { name: "rejected", stop: state.stop, failure: event.data }
				: state;
		case "route.decided":
			return state.name === "classifying" ? assembling(state, "accepted", event.data.route, undefined) : state;
		case "retrieval.requested":
			if (state.name !== "assembling") return state;
			return { ...courseOf(state), name: "retrieving", route: state.route, asked: event.seq };
		case "retrieval.completed":
			return retrieved(state, { documents: event.data.documents, failure: undefined, at: entry.at }, entry.cause);
		case "retrieval.failed":
			return state.name === "ingesting"
				? ingested(state, { failure: event.data }, entry.cause)
				: retrieved(state, { documents: [], failure: event.data, at: entry.at }, entry.cause);
		case "ingest.requested":
			return state.name === "assembling" ? { ...courseOf(state), name: "ingesting", asked: event.seq } : state;
		case "ingest.completed":
			return ingested(state, { documents: event.data.documents }, entry.cause);
		case "inference.requested":
			return modelAsked(state, event.data, event.seq);
		case "inference.attempt_ended":
			return modelAnswered(state, event.data, entry);
		case "tool.requested":
			return toolAsked(state, { id: event.data.tool_call_id, name: event.data.name, arguments: event.data.arguments });
		case "tool.completed":
			return toolAnswered(state, event.data.tool_call_id, { ok: true, text: event.data.result });
		case "tool.failed": {
			const { tool_call_id, code, message } = event.data;
			return toolAnswered(state, tool_call_id, { ok: false, code, message });
		}
		default:
			return state;
	}
}

/** The first reason to stop stands. */
const stopped = (state: Live, stop: Stop): State => (state.stop ? state : { ...state, stop });

const graced = (state: State, from: Course["grace"], to: Course["grace"]): State =>
	"grace" in state && state.grace === from ? { ...state, grace: to } : state;

const loaded = (stop: Stop | undefined, data: DataOf<"session.loaded">): State => ({
	name: "classifying",
	loaded: data,
	stop,
	grace: "none",
	said: "",
	speaksFrom: 0,
	attempts: [],
	trace: begun(data),
});

const courseOf = ({ loaded, stop, grace, said, speaksFrom, attempts, trace }: Course): Course => ({
	loaded,
	stop,
	grace,
	said,
	speaksFrom,
	attempts,
	trace,
});
const routedOf = (state: Routed): Routed => ({
	...courseOf(state),
	route: state.route,
	found: state.found,
	unseen: state.unseen,
	steps: state.steps,
});

const assembling = (
	state: Course,
	from: "accepted" | "retrieving",
	route: Routed["route"],
	found: Found | undefined,
): State => ({ ...courseOf(state), name: "assembling", from, route, found, unseen: undefined, steps: [] });

function retrieved(state: State, found: Found, cause: number): State {
	return state.name === "retrieving" && state.asked === cause
		? assembling(state, "retrieving", state.route, found)
		: state;
}

function ingested(state: State, result: Ingested, cause: number): State {
	return state.name === "ingesting" && state.asked === cause ? { ...courseOf(state), name: "ingested", result } : state;
}

function modelAsked(state: State, data: DataOf<"inference.requested">, seq: number): State {
	if (state.name !== "assembling") return state;
	return {
		...routedOf(state),
		name: "inferring",
		asked: seq,
		lost: lostCall(data),
		speaksFrom: state.speaksFrom || seq + 1,
		unseen: state.unseen ?? data.dropped.evidence ?? 0,
	};
}

/** What a call that never reports must have cost at least: its prompt. */
function lostCall({ chain, prompt_tokens }: DataOf<"inference.requested">): AttemptRow {
	const [link] = chain;
	return {
		attempt: 1,
		provider: link?.provider ?? "unknown",
		model: link?.model ?? "unknown",
		outcome: "lost",
		tokens: { uncached_input: prompt_tokens, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
		cost_micros: Math.ceil(prompt_tokens * (link?.price.input ?? 0)),
		estimated: true,
	};
}

/** Only the last entry of an answer counts: it lists every attempt of the ask. */
function modelAnswered(state: State, answer: DataOf<"inference.attempt_ended">, entry: Entry): State {
	if (state.name !== "inferring" || !entry.final || entry.cause !== state.asked) return state;
	const { attempt, provider, model, outcome, tokens, cost_micros, estimated } = answer;
	const own = answer.attempts ?? [{ attempt, provider, model, outcome, tokens, cost_micros, estimated }];
	const course = { ...routedOf(state), said: state.said + answer.text, attempts: [...state.attempts, ...own] };
	return { ...course, name: "validating", answer };
}

/** The calls of one step come in one entry, one after the other; they carry our ids, since a model's own may repeat. */
function toolAsked(state: State, call: ToolCall): State {
	if (state.name === "validating") {
		const step: Step = { text: state.answer.text, calls: [call], results: {} };
		return { ...routedOf(state), name: "calling_tools", steps: [...state.steps, step], waiting: [call.id] };
	}
	const last = state.name === "calling_tools" ? state.steps.at(-1) : undefined;
	if (state.name !== "calling_tools" || !last) return state;
	const step: Step = { ...last, calls: [...last.calls, call] };
	return { ...state, steps: [...state.steps.slice(0, -1), step], waiting: [...state.waiting, call.id] };
}

function toolAnswered(state: State, id: string, result: ToolResult): State {
	if (state.name !== "calling_tools" || !state.waiting.includes(id)) return state;
	const last = state.steps.at(-1);
	if (!last) return state;
	const step: Step = { ...last, results: { ...last.results, [id]: result } };
	const course = { ...routedOf(state), steps: [...state.steps.slice(0, -1), step] };
	const waiting = state.waiting.filter((other) => other !== id);
	return waiting.length > 0
		? { ...course, name: "calling_tools", waiting }
		: { ...course, name: "assembling", from: "calling_tools" };
}
