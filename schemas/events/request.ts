import { z } from "zod";
import { errorCodes } from "../errors.ts";
import { event } from "../event.ts";
import { open, personal } from "../privacy.ts";

/** Doors through which a request came in. */
export const doors = ["websocket", "http", "boot"] as const;

const documentPart = z.strictObject({
	type: open(z.literal("document")),
	document_id: open(z.string()),
	name: personal(z.string()),
	media_type: open(z.string()),
	/** Hash and size of the content; the content itself is a blob under this hash (L13). */
	sha256: open(z.string()),
	bytes: open(z.int().nonnegative()),
});
export type DocumentPart = z.infer<typeof documentPart>;

const turnMessage = z.strictObject({ role: open(z.enum(["user", "assistant"])), text: personal(z.string()) });

/** What was asked, by whom and under which configuration: everything that a decision about the request needs. */
export const acceptedFields = {
	feature: open(z.string()),
	config_sha: open(z.string()),
	principal: personal(z.string()),
	roles: open(z.array(z.string())),
	input: personal(z.string()),
	documents: z.array(documentPart).optional(),
	history: z.array(turnMessage).optional(),
	metadata: personal(z.record(z.string(), z.string())).optional(),
};

export const requestAccepted = event(
	"request.accepted",
	z.strictObject({
		...acceptedFields,
		fingerprint: open(z.string()),
		door: open(z.enum(doors)),
		/** Milliseconds that the request may take, from the entry's `at`. */
		deadline_ms: open(z.int().positive()),
	}),
	({ feature, door, deadline_ms }, { session }) => ({ session_id: session, feature, door, deadline_ms }),
);

export const requestError = event(
	"request.error",
	z.strictObject({
		code: open(z.enum(errorCodes)),
		/** The actor or state in which it went wrong. */
		stage: open(z.string()),
		retryable: open(z.boolean()),
		message: open(z.string()),
	}),
	(data) => data,
);

/** States of a request, in the order of a full passage. */
export const states = [
	"accepted",
	"classifying",
	"retrieving",
	"assembling",
	"inferring",
	"calling_tools",
	"awaiting_approval",
	"validating",
	"awaiting_human",
	"ended",
] as const;
export type State = (typeof states)[number];

export const stateEntered = event(
	"state.entered",
	z.strictObject({ from: open(z.enum(states)), to: open(z.enum(states)) }),
	(data) => data,
);

/** Routes: how a request is answered. A row in a feature's table, not a program. */
export const routes = ["direct", "grounded", "task", "refuse", "ingest"] as const;
export type Route = (typeof routes)[number];

export const routeDecided = event(
	"route.decided",
	z.strictObject({
		route: open(z.enum(routes)),
		reason: open(z.string()),
		/** Score of each route that had any, and the margin between the best two. */
		scores: open(z.record(z.string(), z.number())),
		margin: open(z.number()),
		policy_version: open(z.string()),
	}),
);

export const degradationApplied = event(
	"degradation.applied",
	z.strictObject({
		mode: open(z.enum(["model", "retrieval", "tool"])),
		from: open(z.string()),
		to: open(z.string()),
		/** Words for the person who reads the answer. */
		user_notice: open(z.string()),
	}),
	(data) => data,
);

export const cancelRequested = event("cancel.requested", z.strictObject({ by: personal(z.string()) }));

export const timerRequested = event(
	"timer.requested",
	/** `at` in milliseconds since the epoch. */
	z.strictObject({ timer: open(z.string()), at: open(z.int()) }),
);
export const timerFired = event("timer.fired", z.strictObject({ timer: open(z.string()), at: open(z.int()) }));
