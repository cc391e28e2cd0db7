import type { Decision } from "../actor.ts";
import { brokenStatus, end, standing } from "./end.ts";
import { GRACE_MS, GRACE_TIMER, initial, type Live, type State, type Stop } from "./state.ts";

type Loaded = Exclude<Live, { name: "accepted" | "rejected" }>;

/** What is complete when the stop is found is told rather than thrown away: nothing is left to be stopped. */
export function stopOf(state: Loaded): Stop | undefined {
	if (state.name === "ingested") return "documents" in state.result ? undefined : state.stop;
	if (state.name !== "validating") return state.stop;
	const { outcome, finish_reason, error } = state.answer;
	if (outcome === "completed" && finish_reason !== null && finish_reason !== "tool_calls") return undefined;
	// The worker's own clock may find the deadline before the timer does: the end is the same.
	const late: Stop | undefined =
		error?.kind === "deadline" ? { kind: "deadline", at: state.loaded.accepted.deadline_at } : undefined;
	return state.stop ?? late;
}

/** A request that has to stop: work in flight gets a moment to report its text and usage, then the request ends without it. */
export function stopRequest(state: Loaded, stop: Stop, seq: number): Decision | undefined {
	if (state.name === "inferring" || state.name === "calling_tools") {
		if (state.grace === "running") return undefined;
		if (state.grace === "none") return askForGrace(stop);
	}
	const stood = standing(state);
	if (stop.kind === "cancel") return end({ ...stood, status: "cancelled", finish: "cancelled" }, seq);
	const error = {
		code: "deadline_exceeded" as const,
		message: "the request's time was over before its answer was there",
	};
	return end({ ...stood, status: brokenStatus(stood), finish: "deadline", error }, seq);
}

const askForGrace = ({ at }: Stop): Decision => ({
	audience: "stream",
	final: false,
	events: [{ type: "timer.requested", data: { timer: GRACE_TIMER, at: at + GRACE_MS } }],
});

/** The end of a request that cannot be decided on any more (L8). Before the session has answered, the state knows nothing of what the log holds. */
export function abandon(state: State, seq: number, reason: string): Decision {
	const stood = standing(state.name === "ended" ? initial : state);
	const said = "said" in state ? stood.said : null;
	const error = { code: "poisoned" as const, message: reason };
	return end({ ...stood, said, status: "failed", finish: "error", error }, seq);
}
