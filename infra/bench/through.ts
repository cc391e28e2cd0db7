import type { DownFrame, EventFrame } from "../../schemas/frames.ts";
import type { Aim } from "./job.ts";
import { openTranscript, type Transcript } from "./transcript.ts";
import { type FrameSocket, openFrameSocket } from "./web-socket.ts";

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

/** Sends requests to the server over a few sockets, in turn, many at once on each. */
export async function openThrough({ url, key, sockets }: Aim, keyed: () => boolean): Promise<Requester> {
	const lines = await Promise.all(Array.from({ length: sockets }, () => openLine(url, key, keyed)));
	let turn = 0;
	return {
		request(input, expected) {
			turn = (turn + 1) % lines.length;
			const line = lines[turn];
			if (!line) throw new Error(`bench: expected at least one socket, got ${sockets}`);
			return line.request(input, expected);
		},
		unasked: () => lines.reduce((sum, line) => sum + line.unasked(), 0),
		close() {
			for (const line of lines) line.close();
		},
	};
}

async function openLine(url: string, token: string, keyed: () => boolean): Promise<Requester> {
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

	const address = new URL("/v1/stream", url).href;
	const socket: FrameSocket = await openFrameSocket(
		{ url: address, token, subprotocol: "throughline.v1" },
		onText,
		fail,
	);
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
		close: () => socket.close(),
	};
}
