import type { Decider } from "../actor.ts";
import { decide } from "./decide.ts";
import { evolve } from "./evolve.ts";
import { initial, type State } from "./state.ts";
import { abandon } from "./stop.ts";

/** The state machine of a request; SPEC.md has its states, events and rules. */
export const orchestration: Decider<State> = {
	shape: "decider",
	name: "orchestration",
	initial,
	evolve,
	configuration: (state) => ("loaded" in state ? state.loaded.accepted.config_sha : undefined),
	decide,
	abandon,
};
