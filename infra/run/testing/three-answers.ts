import type { Decider } from "../../../actors/actor.ts";
import type { AnyEvent, EventDraft } from "../../../schemas/events/all.ts";
import { cancelRequested, ended, toolRequested } from "./puppet.ts";

/** What it has heard; it asks for three things at once and ends when it has heard three answers, or a cancel. */
export type Heard = { begun: boolean; asked: boolean; answers: number; cancelled: boolean };

export const begin: EventDraft = { type: "timer.fired", data: { timer: "begin", at: 0 } };
export const answer: EventDraft = {
	type: "tool.completed",
	data: { tool_call_id: "any", name: "puppet", result: "done", truncated: false, took_ms: 1 },
};
/** Folding this fails, on every delivery and in every process. */
export const poison: EventDraft = { type: "timer.fired", data: { timer: "poison", at: 0 } };

/** A decider small enough to be right at a glance: what goes wrong in a test goes wrong in what drives it. */
export const threeAnswers: Decider<Heard> = {
	shape: "decider",
	name: "orchestration",
	initial: { begun: false, asked: false, answers: 0, cancelled: false },
	evolve: (state, entry) => entry.events.reduce(one, state),
	configuration: () => undefined,
	decide(_bundle, state) {
		if (state.cancelled || state.answers >= 3) return { audience: "session", final: true, events: [ended] };
		if (!state.begun || state.asked) return undefined;
		return { audience: "tools", final: false, events: ["one", "two", "three"].map(toolRequested) };
	},
	abandon: (_state, _seq, reason) => ({
		audience: "session",
		final: true,
		events: [
			{ type: "request.error", data: { code: "poisoned", stage: "orchestration", retryable: false, message: reason } },
			ended,
		],
	}),
};

function one(state: Heard, event: AnyEvent): Heard {
	switch (event.type) {
		case "timer.fired":
			if (event.data.timer === "poison") throw new Error("this cannot be folded");
			return { ...state, begun: true };
		case "tool.requested":
			return { ...state, asked: true };
		case "tool.completed":
			return { ...state, answers: state.answers + 1 };
		case cancelRequested.type:
			return { ...state, cancelled: true };
		default:
			return state;
	}
}
