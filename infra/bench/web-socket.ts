import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";

/** A socket that costs its own process as little as can be, since that process shares the machine with what it measures. */
export type FrameSocket = {
	/** Frames that are sent in one turn of the event loop leave in one write. */
	send(text: string): void;
	close(): void;
};

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const FINAL = 0x80;
const MASKED = 0x80;
const NOTHING: Buffer = Buffer.alloc(0);

/** A frame of a client. Its mask is 0, so that the payload stays as it is: masks protect proxies, and none is here. */
function frameOf(opcode: number, payload: Buffer): Buffer {
	const { length } = payload;
	const long = length < 126 ? 0 : 2;
	if (length > 0xffff) throw new Error(`web socket: expected at most 65535 bytes to send, got ${length}`);
	const frame = Buffer.alloc(6 + long + length);
	frame[0] = FINAL | opcode;
	frame[1] = MASKED | (long === 0 ? length : 126);
	if (long > 0) frame.writeUInt16BE(length, 2);
	payload.copy(frame, 6 + long);
	return frame;
}

/** Reads frames out of a byte stream; messages in several frames are not expected of this server and end in an error. */
export function frameReader(onFrame: (opcode: number, payload: Buffer) => void): (bytes: Buffer) => void {
	let rest = NOTHING;
	return (bytes) => {
		const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
		let at = 0;
		while (all.length - at >= 2) {
			const [first = 0, second = 0] = [all[at], all[at + 1]];
			if ((first & FINAL) === 0) throw new Error("web socket: expected whole messages, got a fragment");
			const head = second < 126 ? 2 : second === 126 ? 4 : 10;
			if (all.length - at < head) break;
			const length =
				second < 126 ? second : second === 126 ? all.readUInt16BE(at + 2) : Number(all.readBigUInt64BE(at + 2));
			if (all.length - at < head + length) break;
			onFrame(first & 0x0f, all.subarray(at + head, at + head + length));
			at += head + length;
		}
		rest = all.subarray(at);
	};
}

/** Connects and upgrades; rejects with what the server answered instead. `onLost` runs once, when the socket is gone without `close`. */
export async function openFrameSocket(
	{ url, token, subprotocol }: { url: string; token: string; subprotocol: string },
	onText: (text: string) => void,
	onLost: (reason: string) => void,
): Promise<FrameSocket> {
	const { hostname, port, host, pathname } = new URL(url);
	const socket = connect({ host: hostname, port: Number(port), noDelay: true });
	await once(socket, "connect");
	const head = [
		`GET ${pathname} HTTP/1.1`,
		`Host: ${host}`,
		"Connection: Upgrade",
		"Upgrade: websocket",
		"Sec-WebSocket-Version: 13",
		`Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
		`Sec-WebSocket-Protocol: ${subprotocol}`,
		`Authorization: Bearer ${token}`,
	];
	socket.write(`${head.join("\r\n")}\r\n\r\n`);
	const [answer]: Buffer[] = await once(socket, "data");
	const end = answer?.indexOf("\r\n\r\n") ?? -1;
	if (!answer || end < 0 || !answer.subarray(0, end).toString().startsWith("HTTP/1.1 101"))
		throw new Error(
			`web socket: expected "101 Switching Protocols" of ${url}, got ${answer?.toString().split("\r\n")[0]}`,
		);

	let open = true;
	const lost = (reason: string) => {
		if (open) onLost(reason);
		open = false;
		socket.destroy();
	};
	const read = frameReader((opcode, payload) => {
		if (opcode === TEXT) onText(payload.toString());
		else if (opcode === PING) socket.write(frameOf(PONG, payload));
		else if (opcode === CLOSE) lost(`closed with ${payload.length >= 2 ? payload.readUInt16BE(0) : 1005}`);
	});
	socket.on("data", read);
	socket.on("error", (error) => lost(error.message));
	socket.on("close", () => lost("the connection ended"));
	read(answer.subarray(end + 4));

	let waiting: Buffer[] = [];
	const flush = () => {
		socket.write(waiting.length === 1 && waiting[0] ? waiting[0] : Buffer.concat(waiting));
		waiting = [];
	};
	return {
		send(text) {
			if (waiting.push(frameOf(TEXT, Buffer.from(text))) === 1) queueMicrotask(flush);
		},
		close() {
			open = false;
			socket.end(frameOf(CLOSE, Buffer.from([0x03, 0xe8])));
		},
	};
}
