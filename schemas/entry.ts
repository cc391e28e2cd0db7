import type { AnyEvent, EventDraft } from "./events/all.ts";

export const actorNames = ["session", "orchestration", "retrieval", "tools", "inference", "telemetry"] as const;
export type ActorName = (typeof actorNames)[number];

/** Who has to act on an entry; `stream` when nobody has to (L1). */
export const audiences = ["session", "orchestration", "retrieval", "tools", "inference", "stream"] as const;
export type Audience = (typeof audiences)[number];

export type Writer = ActorName | "gateway" | "runner";

/** Where a request's log is. */
export type Address = { tenant: string; request: string; session: string };

/** What an actor hands to the log; the log port stamps the rest (L2). */
export type Draft = {
	audience: Audience;
	actor: Writer;
	/** Seq of the event that this entry answers; 0 when it answers none. */
	cause: number;
	/** The answer to `cause` is complete. */
	final: boolean;
	/** Attempt of a worker at `cause`, from 1; 0 where there is none. */
	attempt: number;
	events: readonly EventDraft[];
};

/** One message of the log: one or more events appended atomically (L2). */
export type Entry = Address &
	Omit<Draft, "events"> & {
		v: number;
		/** Random, kept over retries of the same append. */
		id: string;
		/** Counts entries of the request from 1. */
		index: number;
		/** Stream sequence of this entry. Not in the message: it is where the message stands. */
		position: number;
		/** Stream sequence of the entry that it follows. */
		after: number;
		/** Stream sequence of the last entry before it that orchestration wrote or was addressed by. */
		heard: number;
		/** Process that wrote it. */
		writer: string;
		/** Milliseconds since the epoch, by the writer's clock. */
		at: number;
		/** W3C `traceparent`. */
		trace: string;
		events: readonly AnyEvent[];
	};

export const lastSeq = (entry: Entry): number => entry.events.at(-1)?.seq ?? 0;

/** The end of the request is in this entry (L6). */
export const isEnd = (entry: Entry): boolean => entry.events.at(-1)?.type === "message.completed";

/** Orchestration wrote it or has to act on it: only such entries change the decider's state. */
export const isHeard = (entry: Entry): boolean => entry.audience === "orchestration" || entry.actor === "orchestration";
