import type { DataOf } from "../../schemas/events/all.ts";
import type { AttemptRow, ToolCall } from "../../schemas/events/inference.ts";
import type { Route } from "../../schemas/events/request.ts";
import type { Evidence } from "../../schemas/events/retrieval.ts";

export type Loaded = DataOf<"session.loaded">;
type Failure = { code: string; message: string };

/** Why the request may not go on: it was cancelled, or its time is over. */
export type Stop = { kind: "cancel" | "deadline"; at: number };

/** What retrieval gave, or why it gave nothing; absent on routes that do not ask it. */
export type Found = { documents: readonly Evidence[]; failure: Failure | undefined; at: number };

/** One round of the tool loop: what the model said and asked for, and what came of it, by call id. */
export type Step = { text: string; calls: readonly ToolCall[]; results: Readonly<Record<string, ToolResult>> };
export type ToolResult = { ok: true; text: string } | { ok: false; code: string; message: string };

/** What every state after loading carries along. */
export type Course = {
	loaded: Loaded;
	stop: Stop | undefined;
	/** A timer bounds the wait for what is in flight after a stop. */
	grace: "none" | "running" | "over";
	/** Text that clients see so far and that stands, of every model call. */
	said: string;
	/** Seq from which the model's text can begin; 0 before the first call. */
	speaksFrom: number;
	attempts: readonly AttemptRow[];
};

type Routed = Course & { route: Route; found: Found | undefined; steps: readonly Step[] };

/**
 * States of a request, in the order of a full passage. `accepted`, `retrieving`, `inferring` and `calling_tools` wait for
 * somebody's answer; in `classifying`, `assembling` and `validating` a decision is due. SPEC.md has the transition table.
 */
export type State =
	| { name: "accepted"; stop: Stop | undefined }
	/** The session would not open a turn. */
	| { name: "rejected"; stop: Stop | undefined; failure: DataOf<"request.error"> }
	| (Course & { name: "classifying" })
	| (Course & { name: "retrieving"; route: Route; asked: number })
	| (Routed & { name: "assembling"; from: "retrieving" | "calling_tools" })
	| (Routed & { name: "inferring"; asked: DataOf<"inference.requested"> })
	| (Routed & { name: "calling_tools"; waiting: readonly string[] })
	| (Routed & { name: "validating"; answer: DataOf<"inference.attempt_ended"> })
	| (Course & { name: "ingested"; ingest: DataOf<"ingest.completed"> })
	| { name: "ended" };

export const initial: State = { name: "accepted", stop: undefined };

export const DEADLINE_TIMER = "deadline";
export const GRACE_TIMER = "grace";
/** How long a stopped request waits for the text and usage of what is in flight. */
export const GRACE_MS = 3_000;
