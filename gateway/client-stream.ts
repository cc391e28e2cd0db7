import type { DownFrame, EventFrame, UpFrame } from "../schemas/frames.ts";

export type Reply = Extract<DownFrame, { type: "reply" }>;
type Snapshot = Extract<DownFrame, { type: "snapshot" }>;
type Final = Extract<DownFrame, { type: "final" }>;

/** What a stream of one request yields: its events, or a snapshot and events, or one `final` when the events have expired. */
export type ClientEvent = EventFrame | Snapshot | Final;

/** `code` is one of the server's, or the reason of a `gone`, or `closed`. */
export type ClientError = Error & { code: string; retryAfter?: number };

export const clientError = (code: string, message: string, retryAfter?: number): ClientError =>
	Object.assign(new Error(message), { code, ...(retryAfter !== undefined && { retryAfter }) });

/** The events of one request; ends with it. Rejects with `ClientError`. Leaving the loop does not cancel the request. */
export type Stream = AsyncIterable<ClientEvent> & {
	/** The first answer: it names the request and its session. */
	reply: Promise<Reply>;
};

/** The client's side of one follow: a cursor, and what the caller has not taken yet. No socket in here. */
export type Following = {
	id: string;
	stream: Stream;
	request(): string | undefined;
	/** The frame that begins the stream on a new socket, or goes on with it: nothing is lost and nothing comes twice. */
	opening(): UpFrame;
	/** Takes the answer to `opening`. */
	answered(reply: Reply): void;
	/** Takes a frame of this request; `false` when it shows that something before it was lost: then send `opening` again. */
	take(frame: ClientEvent): boolean;
	fail(problem: ClientError): void;
	over(): boolean;
};

export type Opening = Extract<UpFrame, { type: "submit" | "resume" }>;

export function openFollowing(first: Opening): Following {
	const replied = Promise.withResolvers<Reply>();
	// Who only reads the events sees the failure there.
	replied.promise.catch(() => {});
	let request = first.type === "resume" ? first.request_id : undefined;
	let cursor = first.type === "resume" ? first.after : 0;
	let begun = false;
	/** Frames count from the answer to the last opening on; earlier ones belong to another follow of the request. */
	let current = false;
	let queue: ClientEvent[] = [];
	let outcome: { problem?: ClientError } | undefined;
	let wake = () => {};

	const settle = (problem?: ClientError) => {
		if (outcome) return;
		outcome = problem ? { problem } : {};
		if (problem) replied.reject(problem);
		wake();
	};
	const give = (event: ClientEvent) => {
		queue.push(event);
		wake();
	};

	async function* events(): AsyncGenerator<ClientEvent> {
		for (;;) {
			const ready = queue;
			queue = [];
			yield* ready;
			if (queue.length > 0) continue;
			if (outcome?.problem) throw outcome.problem;
			if (outcome) return;
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
		}
	}

	return {
		id: first.id,
		stream: { reply: replied.promise, [Symbol.asyncIterator]: events },
		request: () => request,
		opening() {
			current = false;
			if (request === undefined || !begun) return first;
			return { type: "resume", id: first.id, request_id: request, after: cursor };
		},
		answered(reply) {
			if (reply.status === "gone") {
				const reason = reply.reason ?? "unknown";
				settle(clientError(reason, `the server has no such events any more (${reason})`));
				return;
			}
			request = reply.request_id ?? request;
			begun = true;
			current = true;
			replied.resolve(reply);
			if (reply.status === "completed" && reply.final_seq !== undefined && cursor >= reply.final_seq) settle();
		},
		take(frame) {
			if (!current || outcome) return true;
			if (frame.type === "snapshot" && "up_to" in frame) cursor = Number(frame.up_to);
			else if ("seq" in frame) {
				if (frame.seq <= cursor) return true;
				if (frame.prev > cursor) return false;
				cursor = frame.seq;
			}
			give(frame);
			if (frame.type === "message.completed" || frame.type === "final") settle();
			return true;
		},
		fail: settle,
		over: () => outcome !== undefined,
	};
}
