import { corked, guarded } from "./guarded.ts";
import type { Doors, HttpRequest, Socket } from "./transport.ts";

/** Answers of the library's `send`; 0 is "taken, but buffered", anything else "dropped". */
const SENT = 1;
const BUFFERED = 0;
/** Bytes that may wait for a slow client before its socket is closed. */
export const MAX_BUFFERED_BYTES = 1024 * 1024;
const DRAINED_BYTES = 16 * 1024;

/** What a connection needs of the library's WebSocket, which is dead after `closed`. */
type NativeSocket = {
	send(frame: string): number;
	end(code: number, reason: string): void;
	cork(run: () => void): unknown;
	getBufferedAmount(): number;
};

export type Connection = {
	socket: Socket;
	start(request: HttpRequest): void;
	message(message: ArrayBuffer, isBinary: boolean): void;
	drain(): void;
	closed(code: number): void;
};

/** The state of one WebSocket and what its doors see of it. Native callbacks go to the other members. */
export function openConnection(ws: NativeSocket, doors: Doors): Connection {
	let open = true;
	let full = false;
	let draining = false;
	let stalled: NodeJS.Timeout | undefined;
	let early: string[] = [];
	let earlyBytes = 0;
	let onMessage: ((frame: string) => void | Promise<void>) | undefined;
	let onDrain = () => {};
	let onClose = (_code: number) => {};

	const close = (code: number, reason: string) => {
		if (open) ws.end(code, reason);
	};
	const failed = (error: unknown) => {
		doors.onError(error, `WebSocket ${doors.socketPath}`);
		close(1011, "a fault of this server, resume");
	};
	/** Starts the time that the client has to make room anew, or stops it. */
	const watch = () => {
		clearTimeout(stalled);
		stalled = open && full ? setTimeout(close, doors.stalledMs, 4008, "slow consumer").unref() : undefined;
	};
	const fill = () => {
		if (full) return;
		full = true;
		watch();
	};
	const flow = () => {
		if (!open) return "gone";
		return full ? "full" : "sent";
	};
	const socket: Socket = {
		send(frame) {
			if (!open) return "gone";
			const result = ws.getBufferedAmount() > MAX_BUFFERED_BYTES ? undefined : ws.send(frame);
			if (result === BUFFERED) fill();
			else if (result !== SENT) close(4008, "slow consumer");
			return flow();
		},
		batch(run) {
			if (!open) return "gone";
			corked(ws, run);
			// Corked frames count as sent until the cork is drawn, so only now is it known whether they were.
			if (open && ws.getBufferedAmount() > 0) fill();
			return flow();
		},
		close,
		onMessage(handle) {
			onMessage = handle;
			const frames = early;
			early = [];
			for (const frame of frames) guarded(() => handle(frame), failed);
		},
		onDrain(handle) {
			onDrain = handle;
		},
		onClose(handle) {
			onClose = handle;
		},
	};
	return {
		socket,
		start(request) {
			if (open) guarded(() => doors.socket(socket, request), failed);
		},
		message(message, isBinary) {
			if (!open) return;
			if (isBinary) {
				close(1003, "expected text frames, got a binary one");
				return;
			}
			const frame = Buffer.from(message).toString("utf8");
			if (onMessage !== undefined) {
				const handle = onMessage;
				guarded(() => handle(frame), failed);
				return;
			}
			earlyBytes += message.byteLength;
			if (earlyBytes > MAX_BUFFERED_BYTES) close(1008, "more than 1 MiB before the server was ready");
			else early.push(frame);
		},
		drain() {
			if (!full) return;
			watch();
			if (draining || ws.getBufferedAmount() > DRAINED_BYTES) return;
			draining = true;
			// Not from within the native callback: when a frame of 16 KiB or more is sent there and does not fit, the library
			// stops watching for room as it returns, and the socket would stand still for good.
			setImmediate(() => {
				draining = false;
				if (!open || ws.getBufferedAmount() > DRAINED_BYTES) return;
				full = false;
				watch();
				guarded(onDrain, failed);
			});
		},
		closed(code) {
			open = false;
			early = [];
			watch();
			guarded(() => onClose(code), failed);
		},
	};
}
