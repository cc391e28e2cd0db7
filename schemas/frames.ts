import { z } from "zod";
import type { Entry } from "./entry.ts";
import type { ErrorCode } from "./errors.ts";
import { kinds } from "./events/all.ts";
import type { Status, Usage } from "./events/output.ts";
import { sessionId, token } from "./tokens.ts";

/** Characters of one input; longer material belongs into documents. */
export const MAX_INPUT = 65_536;

const text = z.string().min(1).max(MAX_INPUT);
const part = z.strictObject({ type: z.literal("text"), text });
const input = z.union([text, z.array(part).min(1).max(64)], {
	error: `a non-empty string of at most ${MAX_INPUT} characters or a list of content parts {type: "text", text}`,
});

/** What a client asks for: the body of `POST /v1/requests` and of the `submit` frame. */
export const submitFields = {
	session_id: sessionId.optional(),
	feature: token.optional(),
	input,
	history: z
		.array(z.strictObject({ role: z.enum(["user", "assistant"]), text }))
		.max(200)
		.optional(),
	metadata: z.record(token, z.string().max(512)).optional(),
	deadline_ms: z.int().min(100).max(600_000).optional(),
};
export const submitBody = z.strictObject(submitFields);
export type SubmitBody = z.infer<typeof submitBody>;

export const idempotencyKey = z.string().min(1).max(255);

/** The name that the client gives a frame, so that it knows the answer again. */
const name = z.string().min(1).max(64);

export const upFrames = {
	hello: z.strictObject({ type: z.literal("hello"), token: z.string().max(1024) }),
	submit: z.strictObject({
		type: z.literal("submit"),
		id: name,
		idempotency_key: idempotencyKey.optional(),
		...submitFields,
	}),
	resume: z.strictObject({
		type: z.literal("resume"),
		id: name,
		request_id: z.string().max(64),
		after: z.int().nonnegative(),
		snapshot: z.boolean().optional(),
	}),
	cancel: z.strictObject({ type: z.literal("cancel"), id: name, request_id: z.string().max(64) }),
	watch: z.strictObject({ type: z.literal("watch"), id: name, session_id: z.string().max(64) }),
	feedback: z.strictObject({
		type: z.literal("feedback"),
		id: name,
		request_id: z.string().max(64),
		score: z.number().min(-1).max(1),
		comment: z.string().max(4096).optional(),
	}),
	ping: z.strictObject({ type: z.literal("ping") }),
};
export type UpFrame = { [K in keyof typeof upFrames]: z.infer<(typeof upFrames)[K]> }[keyof typeof upFrames];
export const upFrame = z.discriminatedUnion("type", [
	upFrames.hello,
	upFrames.submit,
	upFrames.resume,
	upFrames.cancel,
	upFrames.watch,
	upFrames.feedback,
	upFrames.ping,
]);

export type Citation = {
	n: number;
	document_id: string;
	chunk_id: string;
	title: string;
	quote: string;
	verified: boolean;
};

/** What a request came to. `status` is `running` until its end is in the log. */
export type FinalObject = {
	request_id: string;
	session_id: string;
	status: Status | "running";
	output_text: string;
	citations: Citation[];
	usage: Usage | null;
	finish_reason: string | null;
	final_seq: number | null;
	/** Present on ends that are not `completed`. */
	error?: { code: ErrorCode; message: string; retryable: boolean };
};

/** One event of a request as the client sees it: flat, with the event's data beside these fields (G7). */
export type EventFrame = { type: string; request_id: string; seq: number; prev: number } & Record<string, unknown>;

export type DownFrame =
	| { type: "ready"; principal: string; limits: { frame_bytes: number; input_characters: number } }
	| {
			type: "reply";
			id: string;
			request_id?: string;
			session_id?: string;
			status: "accepted" | "attached" | "recovered" | "completed" | "gone" | "done";
			reason?: string;
			/** On `completed`: seq of the last event, so that a client knows when nothing is left to come. */
			final_seq?: number;
	  }
	| { type: "snapshot"; request_id: string; text: string; up_to: number }
	| { type: "final"; request_id: string; final: FinalObject }
	| { type: "error"; id?: string; code: ErrorCode; message: string; retry_after?: number }
	| { type: "pong" };

/** The frames of an entry that a client may see; `prev` is the seq of the visible event before it, 0 at the start. */
export function framesOf(entry: Entry, prev: number): EventFrame[] {
	const frames: EventFrame[] = [];
	let before = prev;
	for (const event of entry.events) {
		// The declaration and the event carry the same type, which the map cannot say.
		const client = kinds.get(event.type)?.client as
			| ((data: unknown, context: { session: string }) => Record<string, unknown>)
			| undefined;
		if (!client) continue;
		frames.push({
			type: event.type,
			request_id: entry.request,
			seq: event.seq,
			prev: before,
			...client(event.data, { session: entry.session }),
		});
		before = event.seq;
	}
	return frames;
}
