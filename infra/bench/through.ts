import { WebSocket } from "undici";
import type { DownFrame, EventFrame } from "../../schemas/frames.ts";
import type { Aim } from "./job.ts";
import { openTranscript, type Transcript } from "./transcript.ts";

/** How one request went; times by `performance.now()`. */
export type Outcome = { sentAt: number; firstAt: number; endedAt: number; fault?: string };

export type Requester = {
	/** Sends a request and resolves when it is over; a fault is an outcome too. */
	request(input: string, expected: string): Promise<Outcome>;
	/** Events that belonged to no request under way: after its end, or before its reply. */
	unasked(): number;
	close(): void;
};

type Open = { sentAt: number; firstAt: number; transcript: Transcript; settle(fault?: string): void };

/** Requests that one socket carries at once, below the protocol's 64 (P19); further ones wait, and their time runs. */
const PER_SOCKET = 60;

type Line = Requester & { open(): number };

/** Sends requests to the server over a few sockets, many at once on each, always on the one with the fewest. */
export async function openThrough({ url, key, sockets }: Aim, keyed: () => boolean): Promise<Requester> {
	const lines = await Promise.all(Array.from({ length: sockets }, () => openLine(url, key, keyed)));
	const waiting: (() => void)[] = [];
	const idlest = () => lines.reduce((best, line) => (line.open() < best.open() ? line : best));
	return {
		async request(input, expected) {
			if (idlest().open() >= PER_SOCKET) await new Promise<void>((resolve) => waiting.push(resolve));
			try {
				return await idlest().request(input, expected);
			} finally {
				waiting.shift()?.();
			}
		},
		unasked: () => lines.reduce((sum, line) => sum + line.unasked(), 0),
		close() {
			for (const line of lines) line.close();
		},
	};
}

async function openLine(url: string, token: string, keyed: () => boolean): Promise<Line> {
	/** Submits without an answer by their own id, then requests by theirs. */
	const submits = new Map<string, Open>();
	const requests = new Map<string, Open>();
	const ready = Promise.withResolvers<undefined>();
	let count = 0;
	let unasked = 0;

	const fail = (reason: string) => {
		ready.reject(new Error(`bench: the server's socket is lost (${reason})`));
		for (const open of [...submits.values(), ...requests.values()]) open.settle(`socket lost: ${reason}`);
		submits.clear();
		requests.clear();
	};

	function onText(text: string): void {
		const frame: DownFrame | EventFrame = JSON.parse(text);
		if ("seq" in frame) onEvent(frame);
		else if (frame.type === "ready") ready.resolve(undefined);
		else if (frame.type === "reply" && "status" in frame)
			onReply(String(frame.id), String(frame.request_id), frame.status);
		else if (frame.type === "error") {
			const id = String("id" in frame ? frame.id : "");
			submits.get(id)?.settle(`refused: ${text}`);
			submits.delete(id);
		}
	}

	function onReply(id: string, request: string, status: unknown): void {
		const open = submits.get(id) ?? requests.get(id);
		if (!open) return;
		submits.delete(id);
		if (status === "accepted") requests.set(request, open);
		else open.settle(`the reply was ${status}`);
	}

	function onEvent(frame: EventFrame): void {
		const open = requests.get(frame.request_id);
		if (!open) {
			unasked += 1;
			return;
		}
		open.transcript.take(frame);
		if (open.firstAt === 0 && frame.type === "output_text.delta") open.firstAt = performance.now();
		if (!open.transcript.ended()) return;
		requests.delete(frame.request_id);
		open.settle(open.transcript.fault());
	}

	// A reader of frames written by hand on a bare socket saves only a seventh of the generator's time, so it is not worth having.
	const socket = new WebSocket(new URL("/v1/stream", url.replace(/^http/, "ws")), {
		protocols: ["throughline.v1"],
		headers: { authorization: `Bearer ${token}` },
	});
	socket.addEventListener("message", ({ data }) => onText(String(data)));
	socket.addEventListener("close", ({ code }) => fail(`closed with ${code}`));
	socket.addEventListener("error", ({ message }) => fail(message));
	await ready.promise;
	return {
		request: (input, expected) =>
			new Promise((resolve) => {
				const id = String(++count);
				const open: Open = {
					sentAt: performance.now(),
					firstAt: 0,
					transcript: openTranscript(expected),
					settle: (fault) =>
						resolve({
							sentAt: open.sentAt,
							firstAt: open.firstAt,
							endedAt: performance.now(),
							...(fault !== undefined && { fault }),
						}),
				};
				submits.set(id, open);
				const submit = { type: "submit", id, input };
				socket.send(JSON.stringify(keyed() ? { ...submit, idempotency_key: crypto.randomUUID() } : submit));
			}),
		unasked: () => unasked,
		open: () => submits.size + requests.size,
		close: () => socket.close(),
	};
}
