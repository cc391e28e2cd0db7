import type { DataOf } from "../../schemas/events/all.ts";
import type { AttemptRow, ToolCall } from "../../schemas/events/inference.ts";
import type { Trace } from "../../schemas/events/output.ts";
import type { Route } from "../../schemas/events/request.ts";
import type { Evidence } from "../../schemas/events/retrieval.ts";

export type Loaded = DataOf<"session.loaded">;
export type Failure = { code: string; message: string };

/** Why the request may not go on: it was cancelled, or its time is over. `at` in milliseconds since the epoch. */
export type Stop = { kind: "cancel" | "deadline"; at: number };

/** What retrieval gave, or why it gave nothing; `at` is when it said so, in milliseconds since the epoch. */
export type Found = { documents: readonly Evidence[]; failure: Failure | undefined; at: number };

/** One round of the tool loop: what the model said and asked for, and what came of it, by call id. */
export type Step = { text: string; calls: readonly ToolCall[]; results: Readonly<Record<string, ToolResult>> };
export type ToolFailure = { ok: false; code: DataOf<"tool.failed">["code"]; message: string };
export type ToolResult = { ok: true; text: string } | ToolFailure;

/** What came of an ingestion: a row per document, or the reason why there is none. */
export type Ingested = { documents: DataOf<"ingest.completed">["documents"] } | { failure: Failure };

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
	trace: Trace;
};

export type Routed = Course & {
	route: Route;
	/** Absent on routes that do not ask retrieval. */
	found: Found | undefined;
	/** Usable passages that the first prompt had no room for: the last ones. Absent before it; later prompts have less room. */
	unseen: number | undefined;
	steps: readonly Step[];
};

/**
 * States of a request, in the order of a full passage. `accepted`, `retrieving`, `ingesting`, `inferring` and
 * `calling_tools` wait for somebody's answer (`asked`: seq of the ask); in the others a decision is due. SPEC.md has the
 * transition table.
 */
export type State =
	| { name: "accepted"; stop: Stop | undefined }
	/** The session would not open a turn, and has said why. */
	| { name: "rejected"; stop: Stop | undefined; failure: Failure }
	| (Course & { name: "classifying" })
	| (Course & { name: "retrieving"; route: Route; asked: number })
	| (Course & { name: "ingesting"; asked: number })
	| (Course & { name: "ingested"; result: Ingested })
	| (Routed & { name: "assembling"; from: "accepted" | "retrieving" | "calling_tools" })
	/** `lost` is the account of the call in flight if it never reports. */
	| (Routed & { name: "inferring"; asked: number; lost: AttemptRow })
	| (Routed & { name: "calling_tools"; waiting: readonly string[] })
	| (Routed & { name: "validating"; answer: DataOf<"inference.attempt_ended"> })
	| { name: "ended" };

export type In<Name extends State["name"]> = Extract<State, { name: Name }>;
export type Live = Exclude<State, { name: "ended" }>;

export const initial: In<"accepted"> = { name: "accepted", stop: undefined };

export const DEADLINE_TIMER = "deadline";
export const GRACE_TIMER = "grace";
/** How long a stopped request waits for the text and usage of what is in flight. */
export const GRACE_MS = 3_000;
