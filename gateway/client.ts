import type { DownFrame, SubmitBody, UpFrame } from "../schemas/frames.ts";
import {
	type ClientError,
	type ClientEvent,
	clientError,
	type Following,
	type Opening,
	openFollowing,
	type Reply,
	type Stream,
} from "./client-stream.ts";

/**
 * A client of the WebSocket protocol for Node 22 or newer and for browsers, without dependencies. It connects again by
 * itself, submits again under the same key what had no reply, and resumes what had one, so a stream shows each event once.
 */
export type Client = {
	/** Without an `idempotency_key` it makes one. */
	submit(body: SubmitBody & { idempotency_key?: string }): Stream;
	/** The events of a request after a cursor; `snapshot` asks for the text so far instead of the events. */
	resume(request: string, after?: number, options?: { snapshot?: boolean }): Stream;
	/** Resolves when the wish is in the log; the request's own events say when it has ended. */
	cancel(request: string): Promise<Reply>;
	feedback(request: string, score: number, comment?: string): Promise<Reply>;
	/** Ends every stream with code `closed`; requests run on. */
	close(): void;
};

export type ClientOptions = {
	/** `http(s)://host:port` or `ws(s)://host:port`, or the whole address of the stream. */
	url: string;
	token: string;
	/** Told when the connection is made, and when one that was made is lost; streams go on by themselves. */
	onConnection?(state: "made" | "lost"): void;
};

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
/** A connection that shows nothing for twice this long is taken for dead. */
const PING_MS = 10_000;
/** Tries of a stream that the server answers with "not now" before its caller is told. */
const MAX_TRIES = 5;
const NOT_NOW = ["log_unavailable", "unavailable"];
const UNAUTHORIZED = 4001;
const encoder = new TextEncoder();

type Pending = { frame: UpFrame; resolve(reply: Reply): void; reject(problem: ClientError): void };

/** Connects at once and stays connected until `close`. */
export function connect({ url, token, onConnection }: ClientOptions): Client {
	const address = streamAddress(url);
	const streams = new Map<string, Following>();
	const commands = new Map<string, Pending>();
	const tries = new Map<string, number>();
	let names = 0;
	let failures = 0;
	let socket: WebSocket | undefined;
	let ready = false;
	let closed: ClientError | undefined;
	let heard = true;
	/** What the server takes; over twice that it cuts the socket without a word, and the frame would be sent again for ever. */
	let frameBytes = Number.POSITIVE_INFINITY;
	let again: ReturnType<typeof setTimeout> | undefined;

	const send = (frame: UpFrame) => {
		if (!ready) return;
		const text = JSON.stringify(frame);
		const bytes = encoder.encode(text).length;
		if (bytes <= frameBytes || !("id" in frame)) socket?.send(text);
		else {
			const message = `a frame is expected to have at most ${frameBytes} bytes, this one has ${bytes}`;
			refused({ type: "error", id: frame.id, code: "body_too_large", message });
		}
	};

	function dial(): void {
		const dialled = new WebSocket(address, "throughline.v1");
		socket = dialled;
		dialled.onopen = () => dialled.send(JSON.stringify({ type: "hello", token } satisfies UpFrame));
		dialled.onmessage = ({ data }) => {
			if (socket !== dialled) return;
			heard = true;
			take(JSON.parse(String(data)));
		};
		dialled.onerror = () => lost(dialled, 1006);
		dialled.onclose = ({ code }) => lost(dialled, code);
	}

	function lost(which: WebSocket, code: number): void {
		if (socket !== which || closed) return;
		socket = undefined;
		const wasReady = ready;
		ready = false;
		which.close();
		if (code === UNAUTHORIZED) {
			end(clientError("unauthorized", "the server does not know this token"));
			return;
		}
		// All clients of a server lose it at once: the random part keeps them from coming back at once.
		const longest = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failures++);
		again = setTimeout(dial, longest * (0.5 + Math.random() / 2));
		if (wasReady) onConnection?.("lost");
	}

	function take(frame: DownFrame | ClientEvent): void {
		if (isReady(frame)) {
			ready = true;
			failures = 0;
			frameBytes = frame.limits.frame_bytes;
			onConnection?.("made");
			for (const following of streams.values()) send(following.opening());
			for (const { frame } of commands.values()) send(frame);
		} else if (isReply(frame)) answered(frame);
		else if (isProblem(frame)) refused(frame);
		else if ("request_id" in frame) deliver(frame as ClientEvent);
	}

	function answered(reply: Reply): void {
		commands.get(reply.id)?.resolve(reply);
		commands.delete(reply.id);
		tries.delete(reply.id);
		const following = streams.get(reply.id);
		following?.answered(reply);
		if (following?.over()) streams.delete(reply.id);
	}

	function refused({ id, code, message, retry_after }: Extract<DownFrame, { type: "error" }>): void {
		if (id === undefined) return;
		const problem = clientError(code, message, retry_after);
		commands.get(id)?.reject(problem);
		commands.delete(id);
		const following = streams.get(id);
		if (!following) return;
		const tried = (tries.get(id) ?? 0) + 1;
		if (NOT_NOW.includes(code) && tried < MAX_TRIES) {
			tries.set(id, tried);
			setTimeout(() => streams.has(id) && send(following.opening()), (retry_after ?? 1) * 1_000);
			return;
		}
		streams.delete(id);
		following.fail(problem);
	}

	function deliver(event: ClientEvent): void {
		for (const following of streams.values()) {
			if (following.request() !== event.request_id) continue;
			if (!following.take(event)) send(following.opening());
			if (following.over()) streams.delete(following.id);
		}
	}

	function follow(opening: Opening): Stream {
		const following = openFollowing(opening);
		if (closed) {
			following.fail(closed);
			return following.stream;
		}
		streams.set(following.id, following);
		send(following.opening());
		return following.stream;
	}

	function ask(frame: UpFrame & { id: string }): Promise<Reply> {
		return new Promise((resolve, reject) => {
			if (closed) {
				reject(closed);
				return;
			}
			commands.set(frame.id, { frame, resolve, reject });
			send(frame);
		});
	}

	function end(problem: ClientError): void {
		closed = problem;
		clearInterval(pinging);
		clearTimeout(again);
		for (const following of streams.values()) following.fail(problem);
		for (const { reject } of commands.values()) reject(problem);
		streams.clear();
		commands.clear();
		socket?.close(1000);
	}

	const pinging = setInterval(() => {
		if (!heard && socket) lost(socket, 1006);
		heard = false;
		send({ type: "ping" });
	}, PING_MS);
	const name = () => String(++names);
	dial();

	return {
		submit: ({ idempotency_key = crypto.randomUUID(), ...body }) =>
			follow({ type: "submit", id: name(), idempotency_key, ...body }),
		resume: (request_id, after = 0, { snapshot = false } = {}) =>
			follow({ type: "resume", id: name(), request_id, after, snapshot }),
		cancel: (request_id) => ask({ type: "cancel", id: name(), request_id }),
		feedback: (request_id, score, comment) =>
			ask({ type: "feedback", id: name(), request_id, score, ...(comment !== undefined && { comment }) }),
		close: () => end(clientError("closed", "the client was closed")),
	};
}

type Down = DownFrame | ClientEvent;
const isReady = (frame: Down): frame is Extract<DownFrame, { type: "ready" }> => frame.type === "ready";
const isReply = (frame: Down): frame is Reply => frame.type === "reply";
const isProblem = (frame: Down): frame is Extract<DownFrame, { type: "error" }> => frame.type === "error";

function streamAddress(url: string): string {
	const address = new URL(url.replace(/^http/, "ws"));
	if (address.pathname === "/") address.pathname = "/v1/stream";
	return address.href;
}
