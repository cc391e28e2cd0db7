import { expect } from "vitest";
import type { Audience, Draft, Entry, Writer } from "../../../schemas/entry.ts";
import type { DataOf, EventDraft, EventType } from "../../../schemas/events/all.ts";
import type { Bundle } from "../../../schemas/feature.ts";
import type { Decision } from "../../actor.ts";
import { append, askedOf, decisionAt, nextSeq, ownDraft } from "./log.ts";

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

/** An event with as much of its data as the test cares about. */
type Told = { type: EventType; data?: unknown };

/** Tells one thing after the other; orchestration decides in between, once each time, as its runner would, and last of all for the test. */
export function given(bundle: Bundle, ...story: (Telling | readonly Telling[])[]) {
	let log: readonly Entry[] = [];
	let decision: Decision | undefined;
	const decided = () => (decision ? [...log, append(log, ownDraft(decision, nextSeq(log) - 1))] : log);
	for (const tellings of story) {
		log = decided();
		for (const telling of [tellings].flat()) log = [...log, append(log, telling(log))];
		decision = decisionAt(bundle, log);
	}
	return {
		/** Everything before the last decision, and the same with it. */
		before: log,
		after: decided(),
		decision,
		/** Types, order and number of events are compared exactly, their data as far as it is given. */
		decides(expected: { audience: Audience; final: boolean; events: Told[] }) {
			expect(decision?.events.map(({ type }) => type)).toEqual(expected.events.map(({ type }) => type));
			expect(decision).toMatchObject(expected);
		},
		decidesNothing: () => expect(decision).toBeUndefined(),
		/** Data of the only event of a type in the decision. */
		says<Type extends EventType>(type: Type): DataOf<Type> {
			const of = (event: EventDraft): event is EventDraft & { type: Type; data: DataOf<Type> } => event.type === type;
			const found = decision?.events.filter(of) ?? [];
			const [only] = found;
			if (!only || found.length > 1) throw new Error(`one ${type} is expected in the decision, got ${found.length}`);
			return only.data;
		},
	};
}
