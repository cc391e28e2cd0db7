/** What the doors know of HTTP and WebSockets; `uws.ts` provides it for real, tests may by hand. */

/** `gone`: the client left before the body was whole. */
export type Body = { text: string } | "too_large" | "gone";

/** A copy that outlives the native request. `path` is as sent, not decoded; header names are lower-case, repeated ones joined by ", ". */
export type HttpRequest = {
	method: string;
	path: string;
	query: URLSearchParams;
	headers: Readonly<Record<string, string>>;
	/** Address of the peer, without port. */
	remote: string;
};

/** One HTTP call. It is answered once: by `reply` or by `stream`. */
export type Exchange = {
	request: HttpRequest;
	/** The body, however late it is asked for; `too_large` as soon as it is known to have more than `limit` bytes. */
	body(limit: number): Promise<Body>;
	/** Does nothing once the client is gone. */
	reply(status: number, headers: Record<string, string>, body: string): void;
	/** Status and headers leave together with the first chunk, so write one at once (for SSE a comment or `retry:`). */
	stream(status: number, headers: Record<string, string>): Outflow;
	/** Called once if the client leaves before the answer is over; at once if it has left already. */
	onGone(handle: () => void): void;
};

/**
 * A response that is written bit by bit. `full` means: this chunk is taken, stop until `onDrain`; what is written before
 * that is answered `full` and not taken. A client that lets it stand still for `stalledMs` is cut off (`gone`).
 */
export type Outflow = {
	write(chunk: string): "sent" | "full" | "gone";
	end(): void;
	onDrain(handle: () => void): void;
};

/**
 * One WebSocket. `full` means: this frame is taken, stop and go on from the log when `onDrain` fires (G5). Frames sent
 * regardless are taken up to 1 MiB; then, or when it stands still for `stalledMs`, the socket is closed with 4008 (`gone`).
 */
export type Socket = {
	send(frame: string): "sent" | "full" | "gone";
	/** Frames sent while `run` runs leave in one write; the answer is the state after that write. */
	batch(run: () => void): "sent" | "full" | "gone";
	/** `reason` has at most 123 bytes. Calls `onClose` before it returns. */
	close(code: number, reason: string): void;
	/** Frames that came before are delivered at once. */
	onMessage(handle: (frame: string) => void | Promise<void>): void;
	onDrain(handle: () => void): void;
	onClose(handle: (code: number) => void): void;
};

export type Doors = {
	/** A returned promise resolves when the exchange is answered or streaming; if it rejects or forgets to, the client gets a 500. */
	http(exchange: Exchange): void | Promise<void>;
	socketPath: string;
	subprotocol: string;
	/** Called in the turn after the upgrade. */
	socket(socket: Socket, request: HttpRequest): void;
	/** Bytes of the largest body that any route takes: more is never held in memory. */
	maxBodyBytes: number;
	/** The library's own limit, above the protocol's: it closes the socket without a word. */
	maxFrameBytes: number;
	/** Milliseconds that a full stream or socket may stand still before it is closed (G5). */
	stalledMs: number;
	/** Every exception of a handler, with what it was handling; the client has been answered already. */
	onError(error: unknown, during: string): void;
};
