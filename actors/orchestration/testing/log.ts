import type { Draft, Entry } from "../../../schemas/entry.ts";
import { isHeard, lastSeq } from "../../../schemas/entry.ts";
import type { AnyEvent } from "../../../schemas/events/all.ts";
import type { Bundle } from "../../../schemas/feature.ts";
import type { Decision } from "../../actor.ts";
import { decide } from "../decide.ts";
import { evolve } from "../evolve.ts";
import { initial, type State } from "../state.ts";

/** Time of the first entry; each later one stands a second behind the one before. */
export const BEGUN_AT = 1_800_000_000_000;

/** Puts a draft behind a log's last entry, with the numbers that the log port gives. */
export function append(log: readonly Entry[], draft: Draft): Entry {
	const last = log.at(-1);
	const seq = last ? lastSeq(last) : 0;
	return {
		...draft,
		v: 1,
		id: `e${log.length + 1}`,
		index: log.length + 1,
		position: log.length + 1,
		after: log.length,
		heard: log.findLast(isHeard)?.position ?? 0,
		writer: "test",
		at: BEGUN_AT + log.length * 1_000,
		trace: "",
		tenant: "t",
		request: "r",
		session: "s",
		events: draft.events.map((event, at): AnyEvent => ({ ...event, seq: seq + 1 + at })),
	};
}

/** The state after the entries that orchestration hears or wrote. */
export const fold = (log: readonly Entry[]): State => log.filter(isHeard).reduce<State>(evolve, initial);

export const nextSeq = (log: readonly Entry[]): number => (log[0] ? lastSeq(log.at(-1) ?? log[0]) + 1 : 1);

/** What orchestration says at the end of this log. */
export const decisionAt = (bundle: Bundle, log: readonly Entry[]): Decision | undefined =>
	decide(bundle, fold(log), nextSeq(log));

export const ownDraft = (decision: Decision, cause: number): Draft => ({
	...decision,
	actor: "orchestration",
	attempt: 0,
	cause,
});

/** Events of the log that ask for something, in order. */
export const askedOf = (log: readonly Entry[], ...types: AnyEvent["type"][]): AnyEvent[] =>
	log.flatMap(({ events }) => events.filter(({ type }) => types.includes(type)));
