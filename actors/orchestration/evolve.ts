import type { Entry } from "../../schemas/entry.ts";
import type { AnyEvent, DataOf } from "../../schemas/events/all.ts";
import type { ToolCall } from "../../schemas/events/inference.ts";
import { DEADLINE_TIMER, GRACE_TIMER, type State, type Step, type Stop, type ToolResult } from "./state.ts";

/** Folds one entry that orchestration heard or wrote. An event that the state does not expect changes nothing: late and repeated ones are ordinary. */
export function evolve(state: State, entry: Entry): State {
	return entry.events.reduce((before, event) => evolveEvent(before, event, entry), state);
}

function evolveEvent(state: State, event: AnyEvent, entry: Entry): State {
	if (state.name === "ended") return state;
	switch (event.type) {
		case "message.completed":
			return { name: "ended" };
		case "cancel.requested":
			return stopped(state, { kind: "cancel", at: entry.at });
		case "timer.fired":
			if (event.data.timer === DEADLINE_TIMER) return stopped(state, { kind: "deadline", at: entry.at });
			if (event.data.timer === GRACE_TIMER && "grace" in state) return { ...state, grace: "over" };
			return state;
		case "timer.requested":
			return event.data.timer === GRACE_TIMER && "grace" in state ? { ...state, grace: "running" } : state;
		case "session.loaded":
			if (state.name !== "accepted") return state;
			return {
				name: "classifying",
				loaded: event.data,
				stop: state.stop,
				grace: "none",
				said: "",
				speaksFrom: 0,
				attempts: [],
			};
		case "request.error":
			return state.name === "accepted" && entry.actor === "session"
				? { name: "rejected", stop: state.stop, failure: event.data }
				: state;
		case "route.decided":
			if (state.name !== "classifying") return state;
			// Kept in the state that the ask of the same entry leads to.
			return { ...state, name: "assembling", from: "retrieving", route: event.data.route, found: undefined, steps: [] };
		case "retrieval.requested":
		case "ingest.requested":
			return state.name === "assembling"
				? { ...courseOf(state), name: "retrieving", route: state.route, asked: event.seq }
				: state;
		case "retrieval.completed":
			return retrieved(state, { documents: event.data.documents, failure: undefined, at: entry.at });
		case "retrieval.failed":
			return retrieved(state, { documents: [], failure: event.data, at: entry.at });
		case "ingest.completed":
			return state.name === "retrieving" ? { ...courseOf(state), name: "ingested", ingest: event.data } : state;
		case "inference.requested":
			if (state.name !== "assembling") return state;
			return {
				...routedOf(state),
				name: "inferring",
				asked: event.data,
				speaksFrom: state.speaksFrom || event.seq + 1,
			};
		case "inference.attempt_ended":
			return attemptEnded(state, event.data, entry.final);
		case "tool.requested":
			return toolAsked(state, { id: event.data.tool_call_id, name: event.data.name, arguments: event.data.arguments });
		case "tool.completed":
			return toolAnswered(state, event.data.tool_call_id, { ok: true, text: event.data.result });
		case "tool.failed":
			return toolAnswered(state, event.data.tool_call_id, {
				ok: false,
				code: event.data.code,
				message: event.data.message,
			});
		default:
			return state;
	}
}

/** The first reason to stop stands, unless the deadline comes after a cancel: it changes nothing any more. */
function stopped<S extends Exclude<State, { name: "ended" }>>(state: S, stop: Stop): S {
	return state.stop ? state : { ...state, stop };
}

type Course = Extract<State, { said: string }>;
type Routed = Extract<State, { steps: unknown }>;

const courseOf = ({ loaded, stop, grace, said, speaksFrom, attempts }: Course) => ({
	loaded,
	stop,
	grace,
	said,
	speaksFrom,
	attempts,
});
const routedOf = (state: Routed) => ({
	...courseOf(state),
	route: state.route,
	found: state.found,
	steps: state.steps,
});

function retrieved(state: State, found: Routed["found"]): State {
	if (state.name !== "retrieving") return state;
	return { ...courseOf(state), name: "assembling", from: "retrieving", route: state.route, found, steps: [] };
}

/** Only the last entry of an answer counts: it lists every attempt of the ask. */
function attemptEnded(state: State, answer: DataOf<"inference.attempt_ended">, final: boolean): State {
	if (state.name !== "inferring" || !final) return state;
	const course = routedOf(state);
	const said = state.said + answer.text;
	return { ...course, name: "validating", answer, said, attempts: [...state.attempts, ...(answer.attempts ?? [])] };
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
	const steps = [...state.steps.slice(0, -1), step];
	const waiting = state.waiting.filter((other) => other !== id);
	const course = { ...routedOf(state), steps };
	return waiting.length > 0
		? { ...course, name: "calling_tools", waiting }
		: { ...course, name: "assembling", from: "calling_tools" };
}
