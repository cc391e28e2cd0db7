import type { Decider } from "../actor.ts";
import { decide } from "./decide.ts";
import { end } from "./end.ts";
import { evolve } from "./evolve.ts";
import { initial, type State } from "./state.ts";

/** The state machine of a request; SPEC.md has its states, events and rules. */
export const orchestration: Decider<State> = {
	shape: "decider",
	name: "orchestration",
	initial,
	evolve,
	configuration: (state) => ("loaded" in state ? state.loaded.accepted.config_sha : undefined),
	decide,
	abandon(state, seq, reason) {
		const course = "said" in state ? state : undefined;
		const error = { code: "poisoned" as const, message: reason };
		return end(
			{
				from: "accepted",
				status: "failed",
				finish: "error",
				said: null,
				attempts: course?.attempts ?? [],
				started: false,
				error,
			},
			seq,
		);
	},
};
