import { SUBPROTOCOL } from "../../gateway/doors/websocket.ts";

/** An answer over HTTP as it came: nothing is thrown for a refusal. */
export type RawAnswer = { status: number; headers: Record<string, string>; text: string };

/** What a door is asked; a `body` that is no string is sent as JSON. */
export type RawCall = { method?: string; headers?: Record<string, string>; body?: unknown };

/** One call with a key, or without one; no header is added but those of a JSON body. */
export async function call(
	url: string,
	token: string | undefined,
	path: string,
	{ method, headers, body }: RawCall = {},
): Promise<RawAnswer> {
	const response = await fetch(`${url}${path}`, {
		method: method ?? (body === undefined ? "GET" : "POST"),
		headers: {
			...(token !== undefined && { authorization: `Bearer ${token}` }),
			...(body !== undefined && { "content-type": "application/json" }),
			...headers,
		},
		...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
	});
	return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
}

/** Events of an SSE body: the frame of each `data:` line with the id before it. */
export function sseFrames(text: string): { id: string | undefined; frame: Record<string, unknown> }[] {
	return text.split("\n\n").flatMap((block) => {
		const data = /^data: (.*)$/m.exec(block)?.[1];
		return data === undefined ? [] : [{ id: /^id: (.*)$/m.exec(block)?.[1], frame: JSON.parse(data) }];
	});
}

/** A WebSocket without any cleverness: what it is told it sends, and every frame that came is kept as text. */
export type RawSocket = Disposable & {
	readonly frames: readonly string[];
	send(frame: string | object): void;
	sendBinary(bytes: Uint8Array<ArrayBuffer>): void;
	/** The first frame that fits, come or to come, and is not taken yet; rejects when the socket closes without it. */
	next(fits?: (frame: Record<string, unknown>) => boolean): Promise<string>;
	closed: Promise<{ code: number; reason: string }>;
};

/** Opens a socket; with a token it says hello and waits for `ready`. */
export async function openRawSocket(url: string, token?: string): Promise<RawSocket> {
	const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/stream`, SUBPROTOCOL);
	const frames: string[] = [];
	const untaken: string[] = [];
	const waiting = new Set<() => void>();
	let over: { code: number; reason: string } | undefined;
	const wake = () => {
		for (const look of [...waiting]) look();
	};
	socket.onmessage = ({ data }) => {
		frames.push(String(data));
		untaken.push(String(data));
		wake();
	};
	const closed = new Promise<{ code: number; reason: string }>((resolve) => {
		socket.onclose = ({ code, reason }) => {
			over = { code, reason };
			resolve(over);
			wake();
		};
	});
	await new Promise<void>((resolve, reject) => {
		socket.onopen = () => resolve();
		void closed.then(({ code }) => reject(new Error(`the socket closed with ${code} before it was open`)));
	});
	const next: RawSocket["next"] = (fits = () => true) =>
		new Promise((resolve, reject) => {
			const look = () => {
				const at = untaken.findIndex((frame) => fits(JSON.parse(frame)));
				if (at < 0 && !over) return;
				waiting.delete(look);
				const [found] = at < 0 ? [] : untaken.splice(at, 1);
				if (found === undefined) reject(new Error(`the socket closed with ${over?.code} after: ${frames.join("\n")}`));
				else resolve(found);
			};
			waiting.add(look);
			look();
		});
	const send: RawSocket["send"] = (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
	if (token !== undefined) {
		send({ type: "hello", token });
		await next(({ type }) => type === "ready");
	}
	return {
		frames,
		send,
		sendBinary: (bytes) => socket.send(bytes),
		next,
		closed,
		[Symbol.dispose]: () => socket.close(),
	};
}
