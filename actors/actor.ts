import type { ActorName, Audience, Entry } from "../schemas/entry.ts";
import type { DataOf, EventDraft, EventType } from "../schemas/events/all.ts";
import type { Bundle } from "../schemas/feature.ts";

/** What a decider wants appended next; the runner adds cause and position. */
export type Decision = { audience: Audience; final: boolean; events: readonly EventDraft[] };

/** Decides from the state alone. Its functions are pure: no clock, no random, no I/O, no logger; time and ids come with events. */
export type Decider<State> = {
	shape: "decider";
	name: ActorName;
	initial: State;
	/** Folds entries that it heard and its own, in log order. An entry that a state does not expect returns the same state. */
	evolve(state: State, entry: Entry): State;
	/** Hash of the configuration that the state was begun under; nothing as long as it is not known. */
	configuration(state: State): string | undefined;
	/**
	 * What to append next, or nothing. `seq` is the number that its first event will have: ids and `final_seq` derive from it.
	 * Same arguments, same answer: that is what replay verifies.
	 */
	decide(bundle: Bundle | undefined, state: State, seq: number): Decision | undefined;
	/** The end of a request that cannot be decided on any more (L8). */
	abandon(state: State, seq: number, reason: string): Decision;
};

/** One thing that a worker was asked for: the event and the entry that it came in. */
export type Ask<Type extends EventType = EventType> = {
	[T in Type]: { type: T; seq: number; data: DataOf<T>; entry: Entry };
}[Type];

/** The last entry of an answer; empty when the log has nothing to be told. */
export type Answer = readonly EventDraft[];

/**
 * Events on the way to an answer, each yield one entry. Text deltas are written behind the worker's back and coalesce (L9);
 * anything else is in the log before the generator goes on. The yield gives the entry back, or nothing when it was not
 * written because the request is cancelled: then the generator returns its answer at once.
 */
export type Performance = AsyncGenerator<readonly EventDraft[], Answer, Entry | undefined>;

/** Does one thing that it was asked for, outside the process. */
export type Worker<Type extends EventType, Ports> = {
	shape: "worker";
	name: ActorName;
	/** The event types that ask it. */
	asks: readonly Type[];
	/**
	 * `prior` is what the log already holds of this answer, empty on a first delivery. A failure that no retry can mend is
	 * a returned `*.failed`; one that a redelivery may mend is thrown. `signal` aborts with reason `CANCELLED` when the
	 * request is cancelled (return the answer that stands), with any other reason when the work is no longer wanted.
	 * Work with nothing to tell on the way is a plain promise of its answer.
	 */
	perform(ask: Ask<Type>, prior: readonly Entry[], ports: Ports, signal: AbortSignal): Performance | Promise<Answer>;
	/** The answer to an ask that brought every attempt down (L8). */
	abandon(ask: Ask<Type>, prior: readonly Entry[], reason: string): Answer;
};

/** Hears the entries that its consumer filters, appends nothing; idempotent by request and seq. */
export type Observer = { shape: "observer"; name: ActorName; observe(entry: Entry): Promise<void> };

export const CANCELLED = "cancelled";
export const isCancelled = (signal: AbortSignal): boolean => signal.aborted && signal.reason === CANCELLED;

/** Highest attempt that `prior` shows as begun; the next one is one more (L8). */
export function attemptsBegun(prior: readonly Entry[]): number {
	let highest = 0;
	for (const { events } of prior) {
		for (const event of events) {
			if (event.type === "inference.attempt_started" || event.type === "tool.started")
				highest = Math.max(highest, event.data.attempt);
			if (event.type === "retrieval.started") highest += 1;
		}
	}
	return highest;
}
