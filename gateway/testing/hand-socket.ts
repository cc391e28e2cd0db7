import type { Socket } from "../transport.ts";

/** A socket that a test works by hand: it reads what was sent, says when there is no room, and makes room again. */
export type HandSocket = {
	socket: Socket;
	/** Frames that the server sent, parsed. */
	frames: Record<string, unknown>[];
	/** What the client sends; text goes as it is. */
	say(frame: Record<string, unknown> | string): void;
	/** The first frame, sent or still to come, that fits. */
	next(fits: (frame: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
	/** After `count` more frames the socket is full. */
	fillAfter(count: number): void;
	drain(): void;
	closed: Promise<{ code: number; reason: string }>;
	/** The client goes. */
	leave(): void;
};

export function handSocket(): HandSocket {
	const frames: Record<string, unknown>[] = [];
	const waiting = new Set<{
		fits: (frame: Record<string, unknown>) => boolean;
		found(frame: Record<string, unknown>): void;
	}>();
	const closed = Promise.withResolvers<{ code: number; reason: string }>();
	let room = Number.POSITIVE_INFINITY;
	let open = true;
	let onMessage: (frame: string) => void = () => {};
	let onDrain = () => {};
	let onClose = (_: number) => {};

	const state = () => {
		if (!open) return "gone" as const;
		return room <= 0 ? ("full" as const) : ("sent" as const);
	};
	const close = (code: number, reason: string) => {
		if (!open) return;
		open = false;
		closed.resolve({ code, reason });
		onClose(code);
	};
	return {
		frames,
		closed: closed.promise,
		socket: {
			send(text) {
				if (!open) return "gone";
				const frame = JSON.parse(text);
				frames.push(frame);
				room--;
				for (const wait of waiting) if (wait.fits(frame)) wait.found(frame);
				return state();
			},
			batch(run) {
				run();
				return state();
			},
			close,
			onMessage: (handle) => {
				onMessage = handle;
			},
			onDrain: (handle) => {
				onDrain = handle;
			},
			onClose: (handle) => {
				onClose = handle;
			},
		},
		say: (frame) => onMessage(typeof frame === "string" ? frame : JSON.stringify(frame)),
		next(fits) {
			const seen = frames.find(fits);
			if (seen) return Promise.resolve(seen);
			return new Promise((resolve) => {
				const wait = {
					fits,
					found(frame: Record<string, unknown>) {
						waiting.delete(wait);
						resolve(frame);
					},
				};
				waiting.add(wait);
			});
		},
		fillAfter(count) {
			room = count;
		},
		drain() {
			room = Number.POSITIVE_INFINITY;
			onDrain();
		},
		leave: () => close(1001, ""),
	};
}
