import type { DownFrame, EventFrame } from "../../schemas/frames.ts";
import type { Follower, Sink } from "../attach.ts";
import type { Exchange, Outflow } from "../transport.ts";

/** All event streams of a process, with the one timer of their pings. */
export type SseStreams = Disposable & {
	/** Opens the stream of one call. `retry:` leaves at once, so the client has the headers before the first event. */
	open(exchange: Exchange, headers: Record<string, string>): SseStream;
};

export type SseStream = {
	/** Delivers what the follower has and ends with it; a client that leaves closes the follower, never the request (P8). */
	sink(follower: Follower): Sink;
	/** One frame that is no event of the log, then the end. `id` where the client may come back to it. */
	last(frame: DownFrame, id?: string): void;
};

const PING_MS = 15_000;
/** Milliseconds that an `EventSource` waits before it comes back: spread, so that not all come at once. */
const RETRY_MS = { from: 500, spread: 1_000 };

export function openSseStreams(pingMs = PING_MS): SseStreams {
	const pings = new Set<() => void>();
	const timer = setInterval(() => {
		for (const ping of pings) ping();
	}, pingMs);
	timer.unref();
	return {
		open: (exchange, headers) => openStream(exchange, headers, pings),
		[Symbol.dispose]: () => clearInterval(timer),
	};
}

function openStream(exchange: Exchange, headers: Record<string, string>, pings: Set<() => void>): SseStream {
	const out: Outflow = exchange.stream(200, {
		"content-type": "text/event-stream",
		"cache-control": "no-store",
		// Proxies that buffer would hold the events back.
		"x-accel-buffering": "no",
		...headers,
	});
	let full = false;
	let following: Follower | undefined;

	const close = () => {
		pings.delete(ping);
		following?.close();
	};
	const write = (chunk: string) => {
		const state = out.write(chunk);
		full = state === "full";
		if (state === "gone") close();
	};
	const ping = () => {
		if (!full) write(": ping\n\n");
	};
	const end = () => {
		close();
		out.end();
	};
	const last: SseStream["last"] = (frame, id) => {
		const name = id === undefined ? "" : `id: ${id}\n`;
		write(`${name}data: ${JSON.stringify(frame)}\n\n`);
		end();
	};
	out.onDrain(() => {
		full = false;
		following?.resume();
	});
	exchange.onGone(close);
	pings.add(ping);
	write(`retry: ${RETRY_MS.from + Math.floor(Math.random() * RETRY_MS.spread)}\n\n`);

	return {
		last,
		sink(follower) {
			following = follower;
			return {
				clear: () => !full,
				push: (_, frames) => write(frames.map(sseEvent).join("")),
				ended: end,
				gone: (reason) =>
					last({ type: "error", code: "not_found", message: `the log of this request is lost (${reason})` }),
			};
		},
	};
}

/** `<request>:<seq>` is what the client sends back as `Last-Event-ID` (P29). */
const sseEvent = (frame: EventFrame): string =>
	`id: ${frame.request_id}:${frame.seq}\ndata: ${JSON.stringify(frame)}\n\n`;
