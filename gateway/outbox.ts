import type { DownFrame, EventFrame } from "../schemas/frames.ts";
import type { Socket } from "./transport.ts";

/** Closing codes of the protocol. */
export const CLOSE = { draining: 1012, later: 1013, unauthorized: 4001, slow: 4008 } as const;

/** What leaves on one socket. Answers are few and always leave; events leave only while the client reads (G5). */
export type Outbox = {
	answer(frame: DownFrame): void;
	/** The frames of one entry, in one write. Ask `clear` first. */
	events(frames: readonly EventFrame[]): void;
	clear(): boolean;
};

/** Answers that a client may cause without reading any of them. */
const MAX_OWED = 256;

/** `onClear` runs when the socket is not full any more. One that stays full is closed by the transport, which sees whether it moves. */
export function openOutbox(socket: Socket, onClear: () => void): Outbox {
	let full = false;
	let owed = 0;

	const wrote = (state: "sent" | "full" | "gone") => {
		if (state !== "full" || full) return;
		full = true;
		owed = 0;
	};
	socket.onDrain(() => {
		full = false;
		onClear();
	});

	return {
		answer(frame) {
			if (full) owed++;
			if (owed > MAX_OWED) socket.close(CLOSE.slow, "too slow: connect again and resume");
			else wrote(socket.send(JSON.stringify(frame)));
		},
		events(frames) {
			const [first, ...others] = frames.map((frame) => JSON.stringify(frame));
			if (first === undefined) return;
			if (others.length === 0) wrote(socket.send(first));
			else
				wrote(
					socket.batch(() => {
						socket.send(first);
						for (const frame of others) socket.send(frame);
					}),
				);
		},
		clear: () => !full,
	};
}
