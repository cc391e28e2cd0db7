import { expect } from "vitest";
import type { Draft, Entry, Writer } from "../../../schemas/entry.ts";
import { lastSeq } from "../../../schemas/entry.ts";
import type { AnyEvent, EventDraft, EventType } from "../../../schemas/events/all.ts";
import type { Bundle } from "../../../schemas/feature.ts";
import type { Decision } from "../../actor.ts";
import { append, askedOf, decisionAt, ownDraft } from "./log.ts";

/** Somebody's entry, as it comes to stand behind a log. */
export type Telling = (log: readonly Entry[]) => Draft;

const ASKS: Partial<Record<Writer, EventType[]>> = {
	session: ["request.accepted"],
	retrieval: ["retrieval.requested", "ingest.requested"],
	inference: ["inference.requested"],
};

/** What an event answers: a tool's the call that it names, a worker's the last ask of its kind, others' nothing. */
function causeOf(log: readonly Entry[], actor: Writer, event: EventDraft | undefined): number {
	if (event?.type === "tool.completed" || event?.type === "tool.failed") {
		const { tool_call_id } = event.data;
		const ask = askedOf(log, "tool.requested").find(
			({ type, data }) => type === "tool.requested" && data.tool_call_id === tool_call_id,
		);
		return ask?.seq ?? 0;
	}
	return askedOf(log, ...(ASKS[actor] ?? [])).at(-1)?.seq ?? 0;
}

/** The final entry of an actor's answer. */
export const heard =
	(actor: Writer, ...events: EventDraft[]): Telling =>
	(log) => ({
		audience: "orchestration",
		actor,
		attempt: 1,
		final: true,
		cause: causeOf(log, actor, events[0]),
		events,
	});

/** Text that streams before the answer is there. */
export const streamed =
	(text: string): Telling =>
	(log) => ({
		audience: "stream",
		actor: "inference",
		attempt: 1,
		final: false,
		cause: causeOf(log, "inference", undefined),
		events: [{ type: "output_text.delta", data: { text } }],
	});

/** Several tellings that are in the log before orchestration looks at it. */
export const together = (...tellings: Telling[]): readonly Telling[] => tellings;

/** Tells one thing after the other; orchestration decides in between, once each time, as its runner would, and last of all for the test. */
export function given(bundle: Bundle, ...story: (Telling | readonly Telling[])[]) {
	const log: Entry[] = [];
	let decision: Decision | undefined;
	for (const tellings of story) {
		const last = log.at(-1);
		if (decision && last) log.push(append(log, ownDraft(decision, lastSeq(last))));
		for (const telling of [tellings].flat()) log.push(append(log, telling(log)));
		decision = decisionAt(bundle, log);
	}
	return {
		/** Everything before the last decision. */
		log: log as readonly Entry[],
		decision,
		/** The log with the last decision in it. */
		after: (): readonly Entry[] =>
			decision
				? [...log, append(log, ownDraft(decision, lastSeq(log.at(-1) ?? append(log, ownDraft(decision, 0)))))]
				: log,
		/** Types, order and number of events are compared exactly, their data as far as it is given. */
		decides(expected: { audience: string; final: boolean; events: Told[] }) {
			expect(decision?.events.map(({ type }) => type)).toEqual(expected.events.map(({ type }) => type));
			expect(decision).toMatchObject(expected);
		},
		decidesNothing: () => expect(decision).toBeUndefined(),
		/** Data of the only event of a type in the decision. */
		says<Type extends EventType>(type: Type): Extract<AnyEvent, { type: Type }>["data"] {
			const found = decision?.events.filter(
				(event): event is Extract<EventDraft, { type: Type }> => event.type === type,
			);
			expect(found?.length, `events of type ${type} in the decision`).toBe(1);
			const [only] = found ?? [];
			if (!only) throw new Error(`the decision is expected to hold one ${type}`);
			return only.data;
		},
	};
}

/** An event with as much of its data as the test cares about. */
export type Told = { [T in EventType]: { type: T; data?: unknown } }[EventType];
