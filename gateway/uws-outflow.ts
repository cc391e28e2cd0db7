import { corked, guarded } from "./guarded.ts";
import type { Outflow } from "./transport.ts";

/** What a stream needs of the library's response. */
type StreamResponse = {
	cork(run: () => void): unknown;
	write(piece: Uint8Array): boolean;
	end(): unknown;
	close(): unknown;
	onWritable(handle: () => boolean): unknown;
};

/**
 * Bytes written under one cork. It has to fit into the library's cork buffer (16 KiB): releases before 2026-04-15 lose a
 * piece that does not, when the peer has no room (uWebSockets commit 6b7f354). Also less than what a peer makes room for
 * before the library says so, so that the buffer of a slow peer shrinks with every piece.
 */
const PIECE_BYTES = 4 * 1024;

/**
 * Writes piece by piece until one is not taken whole, and keeps the rest of that chunk: what a stuck client holds is one
 * chunk. `gone` says that the client has left, from when on `response` must not be touched.
 */
export function openOutflow(
	response: StreamResponse,
	stalledMs: number,
	gone: () => boolean,
	report: (error: unknown) => void,
): Outflow {
	let full = false;
	let ended = false;
	let finished = false;
	let stalled: NodeJS.Timeout | undefined;
	let held: Buffer = Buffer.alloc(0);
	let drained = () => {};
	const push = (chunk: Buffer) => {
		let at = 0;
		full = false;
		while (at < chunk.length && !full) {
			const piece = chunk.subarray(at, at + PIECE_BYTES);
			corked(response, () => {
				full = !response.write(piece);
			});
			at += piece.length;
		}
		held = chunk.subarray(at);
	};
	/** Starts the time that the client has to make room anew, or stops it; the library's own limit is 30 s. */
	const watch = () => {
		clearTimeout(stalled);
		const cut = () => {
			if (!gone()) response.close();
		};
		stalled = full && !finished ? setTimeout(cut, stalledMs).unref() : undefined;
	};
	const finish = () => {
		if (!ended || held.length > 0) return;
		finished = true;
		corked(response, () => response.end());
	};
	response.onWritable(() => {
		if (gone()) return true;
		const wasFull = full;
		// With a handler for this event the library writes out nothing by itself; drawing a cork does, even an empty one.
		corked(response, () => {});
		push(held);
		finish();
		watch();
		if (wasFull && !full && !ended) guarded(drained, report);
		return true;
	});
	return {
		write(chunk) {
			if (ended || gone()) return "gone";
			if (!full) {
				push(Buffer.from(chunk));
				watch();
			}
			return full ? "full" : "sent";
		},
		end() {
			if (ended || gone()) return;
			ended = true;
			finish();
			watch();
		},
		onDrain(handle) {
			drained = handle;
		},
	};
}
