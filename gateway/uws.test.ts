import { once } from "node:events";
import { connect, createServer, type Socket as TcpSocket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { loadUws } from "../infra/native/uws-binary.ts";
import type { Body, Doors, Exchange, HttpRequest, Outflow, Socket } from "./transport.ts";
import { type Listener, listen, type UwsModule } from "./uws.ts";

const patience = { timeout: 20_000 };

let library: UwsModule;
beforeAll(async () => {
	library = await loadUws(join(import.meta.dirname, "../node_modules/.cache/throughline"), () => {});
});

/** A listener on a free port. Without a door of its own every call is answered with its own body, every frame with itself. */
async function open(doors: Partial<Doors> = {}, wanted = 0) {
	const faults: string[] = [];
	const listener = await listen(
		library,
		{ host: "127.0.0.1", port: wanted },
		{
			http: echo,
			socketPath: "/v1/stream",
			subprotocol: "throughline.v1",
			socket: (socket) => socket.onMessage((frame) => void socket.send(frame)),
			maxBodyBytes: 4 * 1024 * 1024,
			maxFrameBytes: 64 * 1024,
			stalledMs: 10_000,
			onError: (error, during) => faults.push(`${during}: ${String(error)}`),
			...doors,
		},
	);
	onTestFinished(() => close(listener));
	return {
		...listener,
		faults,
		url: `http://127.0.0.1:${listener.port}`,
		ws: `ws://127.0.0.1:${listener.port}/v1/stream`,
	};
}

function close(listener: Listener): void {
	listener.stopAccepting();
	listener.destroy();
}

async function echo(exchange: Exchange): Promise<void> {
	const body = await exchange.body(2 * 1024 * 1024);
	if (body === "gone") return;
	if (body === "too_large") exchange.reply(413, {}, "too large");
	else exchange.reply(200, { "content-type": "text/plain" }, body.text);
}

/** A value that somebody else will give. */
function later<T>() {
	return Promise.withResolvers<T>();
}

async function dial(url: string, protocols: string[] = ["throughline.v1"]): Promise<WebSocket> {
	const client = new WebSocket(url, protocols);
	await once(client, "open");
	return client;
}

async function frameOf(client: WebSocket): Promise<string> {
	const [event] = await once(client, "message");
	return String(event.data);
}

async function closeOf(client: WebSocket): Promise<{ code: number; reason: string }> {
	const [event] = await once(client, "close");
	return { code: event.code, reason: event.reason };
}

/** A raw connection; what it is sent is read only when the test reads it. */
async function dialRaw(port: number): Promise<TcpSocket> {
	const raw = connect({ host: "127.0.0.1", port });
	raw.on("error", () => {});
	raw.pause();
	await once(raw, "connect");
	onTestFinished(() => void raw.destroy());
	return raw;
}

const upgrade =
	"GET /v1/stream HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

test("[G6] the handler gets a copy of the request that outlives it", async () => {
	let kept: HttpRequest | undefined;
	const { url } = await open({
		async http(exchange) {
			kept = exchange.request;
			await new Promise(setImmediate);
			exchange.reply(200, {}, "");
		},
	});
	await fetch(`${url}/v1/requests/a%20b?after=3&x=%26`, {
		method: "PATCH",
		headers: { "Idempotency-Key": "K1", "X-A": "b" },
	});
	expect(kept).toMatchObject({ method: "PATCH", path: "/v1/requests/a%20b", remote: "127.0.0.1" });
	expect(kept?.headers).toMatchObject({ "idempotency-key": "K1", "x-a": "b" });
	expect([...(kept?.query ?? [])]).toEqual([
		["after", "3"],
		["x", "&"],
	]);
});

test("a body of 1 MB comes back whole", async () => {
	const { url } = await open();
	const sent = "ä€🙂x".repeat(100_000);
	const answer = await fetch(url, { method: "POST", body: sent });
	expect(await answer.text()).toBe(sent);
});

test("a body may be asked for long after it came", async () => {
	const arrived = later<void>();
	const { url, port } = await open({
		async http(exchange) {
			if (exchange.request.path === "/release") arrived.resolve();
			await arrived.promise;
			const body = await exchange.body(100);
			exchange.reply(200, {}, typeof body === "string" ? body : body.text);
		},
	});
	const raw = await dialRaw(port);
	raw.write("POST /late HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\nasked for");
	await fetch(`${url}/release`);
	expect(await text(raw)).toMatch(/\r\n\r\nasked for$/);
});

test("a body over the limit is known before it is sent when its length is announced", async () => {
	const { port } = await open();
	const raw = await dialRaw(port);
	raw.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n");
	const [head] = await once(raw.resume(), "data");
	expect(String(head)).toMatch(/^HTTP\/1\.1 413 /);
});

test("a body over the limit that announced no length is refused at once, and the rest is not kept", async () => {
	const { port, url } = await open();
	const raw = await dialRaw(port);
	raw.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	const answered = once(raw.resume(), "data");
	const piece = `100000\r\n${"x".repeat(0x100000)}\r\n`;
	for (let sent = 0; sent < 3; sent += 1) raw.write(piece);
	const [head] = await answered;
	expect(String(head)).toMatch(/^HTTP\/1\.1 413 /);
	const before = process.memoryUsage().arrayBuffers;
	for (let sent = 0; sent < 40; sent += 1) if (!raw.write(piece)) await once(raw, "drain");
	expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024);
	expect((await fetch(url)).status).toBe(200);
});

test("a client that leaves before its body is whole: the body is gone, and so is the exchange", async () => {
	const asked = later<void>();
	const seen = later<Body>();
	const { port } = await open({
		async http(exchange) {
			const body = exchange.body(1000);
			asked.resolve();
			seen.resolve(await body);
			exchange.reply(200, {}, "to nobody");
		},
	});
	const raw = await dialRaw(port);
	raw.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhalf");
	await asked.promise;
	raw.destroy();
	expect(await seen.promise).toBe("gone");
});

test("an answer that comes before the body leaves the connection usable", async () => {
	const { port } = await open({ http: (exchange) => exchange.reply(401, {}, exchange.request.path) });
	const raw = await dialRaw(port);
	raw.write("POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
	const [first] = await once(raw.resume(), "data");
	expect(String(first)).toMatch(/401.*\/one$/s);
	raw.write("0123456789GET /two HTTP/1.1\r\nHost: a\r\n\r\n");
	const [second] = await once(raw, "data");
	expect(String(second)).toMatch(/401.*\/two$/s);
});

test("HEAD gets the length and no body, 204 neither", async () => {
	const { port } = await open({
		http: ({ request, reply }) => (request.method === "HEAD" ? reply(200, {}, "12345") : reply(204, {}, "")),
	});
	const ask = async (method: string) => {
		const raw = await dialRaw(port);
		raw.write(`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
		return (await text(raw)).split("\r\n\r\n");
	};
	const [head, ...none] = await ask("HEAD");
	expect(head).toMatch(/^HTTP\/1\.1 200 OK.*Content-Length: 5/is);
	expect(none).toEqual([""]);
	const [noContent] = await ask("GET");
	expect(noContent).toMatch(/^HTTP\/1\.1 204 No Content/);
	expect(noContent).not.toMatch(/content-length/i);
});

test("[G5] a long answer reaches a slow reader whole", async () => {
	const long = Array.from({ length: 400_000 }, (_, n) => `${n} €`).join("\n");
	const { port } = await open({ http: ({ reply }) => reply(200, {}, long) });
	const raw = await dialRaw(port);
	raw.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	const pieces: Buffer[] = [];
	let received = 0;
	for await (const piece of raw) {
		pieces.push(piece);
		received += piece.length;
		if (received > Buffer.byteLength(long)) break;
		await new Promise(setImmediate);
	}
	const answer = Buffer.concat(pieces).toString("utf8");
	expect(answer.slice(answer.indexOf("\r\n\r\n") + 4) === long).toBe(true);
});

test.each<[string, Doors["http"]]>([
	["throws", () => expectNever()],
	["rejects", async () => expectNever()],
	["rejects after a turn", () => new Promise<void>(setImmediate).then(expectNever)],
	["forgets to answer", async () => {}],
	["splits its header", ({ reply }) => reply(200, { "x-a": "b\r\nset-cookie: c" }, "")],
])("[G6] a handler that %s is a 500 problem, and the next call is served", async (_, http) => {
	let calls = 0;
	const { url, faults } = await open({
		http: (exchange) => (calls++ === 0 ? http(exchange) : echo(exchange)),
	});
	const answer = await fetch(`${url}/broken`);
	expect(answer.status).toBe(500);
	expect(answer.headers.get("content-type")).toBe("application/problem+json");
	expect(await answer.json()).toMatchObject({ status: 500, code: "internal" });
	expect(answer.headers.get("set-cookie")).toBeNull();
	expect(faults).toEqual([expect.stringMatching(/^GET \/broken: Error/)]);
	expect((await fetch(url)).status).toBe(200);
});

function expectNever(): never {
	throw new Error("on purpose");
}

test("a second answer is an error of the handler and does not reach the client", async () => {
	const { url, faults } = await open({
		http({ reply }) {
			reply(200, {}, "first");
			reply(200, {}, "second");
		},
	});
	expect(await (await fetch(url)).text()).toBe("first");
	expect(faults).toEqual([expect.stringContaining("answered once")]);
});

test.each([
	["no request at all", "\0\x01\x02\r\n\r\n"],
	["a method without a path", "GET\r\n\r\n"],
	["a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"],
	["a length that is none", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"],
	[
		"both ways to say the length",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	],
	["a chunk without a size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"],
	["headers without end", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(100_000)}`],
	["an upgrade without a key", upgrade.replace(/Sec-WebSocket-Key.*\r\n/, "")],
	["an upgrade with a key that is too short", upgrade.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl")],
	["an upgrade by POST", upgrade.replace("GET", "POST")],
	["a path with broken escapes", "GET /%zz?%=% HTTP/1.1\r\nHost: a\r\n\r\n"],
	["a path that is none", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
	["a whole address for a path", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
	["two requests at once", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"],
	["a frame that no client may send", `${upgrade}\xff\xff\xff\xff`],
])("[G6] after %s the server serves on", async (_, bytes) => {
	const { port, url, faults } = await open();
	const raw = await dialRaw(port);
	raw.end(Buffer.from(bytes, "latin1"));
	await text(raw).catch(() => "cut");
	expect(await (await fetch(url, { method: "POST", body: "still here" })).text()).toBe("still here");
	expect(faults).toEqual([]);
});

test("a stream leaves piece by piece and ends when it is ended", async () => {
	let outflow: Outflow | undefined;
	const { url } = await open({
		http(exchange) {
			outflow = exchange.stream(200, { "content-type": "text/event-stream" });
			outflow.write(": open\n\n");
		},
	});
	const answer = await fetch(url);
	const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
	expect(await reader?.read()).toMatchObject({ value: ": open\n\n" });
	expect(outflow?.write("data: €\n\n")).toBe("sent");
	expect(await reader?.read()).toMatchObject({ value: "data: €\n\n" });
	outflow?.end();
	expect(await reader?.read()).toMatchObject({ done: true });
	expect(outflow?.write("data: late\n\n")).toBe("gone");
	outflow?.end();
});

test("[G1] a client that leaves a stream is told of, and what is written then is gone", async () => {
	const streaming = later<Outflow>();
	const gone = later<string>();
	const { port } = await open({
		http(exchange) {
			exchange.onGone(() => gone.resolve("gone"));
			const outflow = exchange.stream(200, {});
			outflow.write("a");
			streaming.resolve(outflow);
		},
	});
	const raw = await dialRaw(port);
	raw.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	const outflow = await streaming.promise;
	raw.destroy();
	expect(await gone.promise).toBe("gone");
	expect(outflow.write("b")).toBe("gone");
	outflow.end();
});

test("a stream whose handler fails is broken off, not ended", async () => {
	const { url, faults } = await open({
		async http(exchange) {
			exchange.stream(200, {}).write("half");
			await new Promise(setImmediate);
			throw new Error("on purpose");
		},
	});
	const answer = await fetch(url);
	await expect(answer.text()).rejects.toThrow();
	expect(faults).toHaveLength(1);
});

test.each([
	["long chunks", [50_000]],
	["short chunks", [3_000]],
	["chunks of all lengths", [50_000, 10, 9_000]],
])("[G5] a stream of %s that nobody reads fills up, and goes on without loss when it is read", async (_, lengths) => {
	const streaming = later<Outflow>();
	const { port } = await open({ http: (exchange) => streaming.resolve(exchange.stream(200, {})) });
	const raw = await dialRaw(port);
	raw.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	const outflow = await streaming.promise;
	let drained = later<void>();
	outflow.onDrain(() => drained.resolve());

	const sent: string[] = [];
	const fill = () => {
		for (let answer = "sent"; answer === "sent"; ) {
			const line = `${sent.length} ${"x".repeat(lengths[sent.length % lengths.length] ?? 0)}\n`;
			sent.push(line);
			answer = outflow.write(line);
		}
	};
	fill();
	expect(outflow.write("not taken")).toBe("full");

	let received = 0;
	const pieces: Buffer[] = [];
	raw.resume().on("data", (piece: Buffer) => {
		pieces.push(piece);
		received += piece.length;
	});
	for (let round = 0; round < 20; round += 1) {
		await drained.promise;
		drained = later();
		fill();
	}
	// The last chunk was answered "full" and nothing follows it: it must still arrive whole.
	await expect.poll(() => received, patience).toBeGreaterThan(sent.join("").length);
	await expect.poll(() => unchunk(Buffer.concat(pieces).toString()) === sent.join(""), patience).toBe(true);
	outflow.end();
	await expect.poll(() => pieces.at(-1)?.toString().endsWith("\r\n0\r\n\r\n"), patience).toBe(true);
});

/** The body of a chunked answer of one-byte characters. */
function unchunk(answer: string): string {
	let rest = answer.slice(answer.indexOf("\r\n\r\n") + 4);
	let body = "";
	for (;;) {
		const end = rest.indexOf("\r\n");
		const size = Number.parseInt(rest.slice(0, end), 16);
		if (!(size > 0)) return body;
		body += rest.slice(end + 2, end + 2 + size);
		rest = rest.slice(end + 4 + size);
	}
}

test("a WebSocket gets its frames back, in text", async () => {
	const { ws } = await open();
	const client = await dial(ws);
	expect(client.protocol).toBe("throughline.v1");
	const sent = `ä€🙂${"x".repeat(60_000)}`;
	client.send(sent);
	expect(await frameOf(client)).toBe(sent);
	client.close(1000);
	await closeOf(client);
});

test("the subprotocol is chosen from what is offered, and not insisted on", async () => {
	const { ws, url } = await open();
	expect((await dial(ws, ["other", "throughline.v1"])).protocol).toBe("throughline.v1");
	expect((await dial(ws, [])).protocol).toBe("");
	expect(await (await fetch(`${url}/v1/stream`, { method: "POST", body: "no upgrade" })).text()).toBe("no upgrade");
});

test("a client that offers only other subprotocols is told which one is expected", async () => {
	const { port } = await open();
	const raw = await dialRaw(port);
	raw.write(upgrade.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: graphql-ws, mqtt\r\n\r\n"));
	const answer = String((await once(raw.resume(), "data"))[0]);
	expect(answer).toMatch(/^HTTP\/1\.1 400 /);
	expect(answer).toContain("application/problem+json");
	expect(JSON.parse(answer.slice(answer.indexOf("{")))).toMatchObject({
		code: "invalid_body",
		detail: expect.stringMatching(/"throughline.v1", got "graphql-ws, mqtt"/),
	});
});

test("frames that come before the handler listens are kept in order", async () => {
	const opened = later<Socket>();
	const { ws } = await open({ socket: (socket) => opened.resolve(socket) });
	const client = await dial(ws);
	client.send("one");
	client.send("two");
	const socket = await opened.promise;
	socket.send("hello");
	await frameOf(client);
	client.send("three");
	const frames: string[] = [];
	const third = later<void>();
	socket.onMessage((frame) => {
		frames.push(frame);
		if (frame === "three") third.resolve();
	});
	await third.promise;
	expect(frames).toEqual(["one", "two", "three"]);
});

test("binary frames close the socket with 1003, and the reason says what is expected", async () => {
	const { ws } = await open();
	const client = await dial(ws);
	client.send(new Uint8Array([1, 2]));
	expect(await closeOf(client)).toEqual({ code: 1003, reason: expect.stringContaining("text frames") });
});

test("an oversize frame closes its own socket only", async () => {
	const { ws } = await open();
	const [big, other] = [await dial(ws), await dial(ws)];
	big.send("x".repeat(64 * 1024 + 1));
	await closeOf(big);
	other.send("still here");
	expect(await frameOf(other)).toBe("still here");
});

test.each<[string, (frame: string) => void | Promise<void>]>([
	["throws", () => expectNever()],
	["rejects", async () => expectNever()],
])("[G6] a frame handler that %s closes its socket with 1011", async (_, handle) => {
	const { ws, faults } = await open({ socket: (socket) => socket.onMessage(handle) });
	const client = await dial(ws);
	client.send("a");
	expect((await closeOf(client)).code).toBe(1011);
	expect(faults).toEqual([expect.stringContaining("on purpose")]);
});

test("frames sent in a batch arrive in order, also when the batch closes the socket", async () => {
	const results: string[] = [];
	const { ws } = await open({
		socket(socket) {
			socket.onMessage(() => {
				results.push(
					socket.batch(() => {
						for (let n = 0; n < 20; n += 1) socket.send(`${n} ${"x".repeat(5000)}`);
						socket.close(4001, "done");
						results.push(socket.send("after the end"));
					}),
				);
				results.push(socket.batch(() => expectNever()));
			});
		},
	});
	const client = await dial(ws);
	const frames: string[] = [];
	client.onmessage = ({ data }) => void frames.push(String(data).split(" ")[0] ?? "");
	client.send("go");
	expect(await closeOf(client)).toEqual({ code: 4001, reason: "done" });
	expect(frames).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
	expect(results).toEqual(["gone", "gone", "gone"]);
});

test.each([
	["long frames", [20_000], 1],
	["frames of all lengths, partly in batches", [0, 100, 5_000, 20_000], 7],
])("[G5] a socket that nobody reads says full, then drains: %s, none lost or doubled", async (_, lengths, batch) => {
	const opened = later<Socket>();
	const { port } = await open({ socket: (socket) => opened.resolve(socket) });
	const raw = await dialRaw(port);
	raw.write(upgrade);
	const socket = await opened.promise;
	let drained = later<void>();
	socket.onDrain(() => drained.resolve());

	let sent = 0;
	const sendNext = () => {
		const frame = `${String(sent).padStart(8, "0")}${"x".repeat(lengths[sent % lengths.length] ?? 0)}`;
		sent += 1;
		return socket.send(frame);
	};
	const fill = () => {
		for (let answer = "sent"; answer === "sent"; ) {
			const alone = batch === 1 || sent % 3 === 0;
			answer = alone ? sendNext() : socket.batch(() => Array.from({ length: batch }, sendNext));
		}
	};
	fill();
	const received: Buffer[] = [];
	raw.resume().on("data", (piece: Buffer) => received.push(piece));
	for (let round = 0; round < 10; round += 1) {
		await drained.promise;
		drained = later();
		fill();
	}
	await drained.promise;
	socket.close(1000, "");
	await once(raw, "end");
	const numbers = framesOf(Buffer.concat(received)).map((frame) => Number(frame.slice(0, 8)));
	expect(numbers).toEqual(Array.from({ length: sent }, (_, n) => n));
});

/** The text frames of a server's raw bytes after the upgrade's answer. */
function framesOf(bytes: Buffer): string[] {
	const frames: string[] = [];
	let at = bytes.indexOf("\r\n\r\n") + 4;
	while (bytes[at] === 0x81) {
		const short = bytes[at + 1] ?? 0;
		const [head, length] = short === 126 ? [4, bytes.readUInt16BE(at + 2)] : [2, short];
		frames.push(bytes.toString("utf8", at + head, at + head + length));
		at += head + length;
	}
	return frames;
}

test("[G5] a sender that does not stop is stopped: 1 MiB waits, then 4008, which the client reads at the end", async () => {
	const opened = later<Socket>();
	const closed = later<number>();
	const { port } = await open({
		socket(socket) {
			socket.onClose(closed.resolve);
			opened.resolve(socket);
		},
	});
	const raw = await dialRaw(port);
	raw.write(upgrade);
	const socket = await opened.promise;
	const frame = "x".repeat(30_000);
	let full = 0;
	for (let answer = "sent"; answer !== "gone"; ) {
		answer = socket.send(frame);
		if (answer === "full") full += 1;
	}
	expect(full).toBeLessThanOrEqual(37);
	expect(await closed.promise).toBe(4008);
	expect(socket.send("a")).toBe("gone");
	const chunks: Buffer[] = [];
	raw.resume().on("data", (piece: Buffer) => chunks.push(piece));
	await once(raw, "end");
	expect(Buffer.concat(chunks).subarray(-15).toString("latin1")).toBe("\x0f\xa8slow consumer");
});

test("[G5] a stream that stands still is cut off", async () => {
	const gone = later<void>();
	const results: string[] = [];
	const { port } = await open({
		stalledMs: 200,
		http(exchange) {
			const outflow = exchange.stream(200, {});
			const fill = () => {
				while (outflow.write("x".repeat(50_000)) === "sent");
			};
			outflow.onDrain(fill);
			exchange.onGone(() => {
				results.push(outflow.write("late"));
				gone.resolve();
			});
			fill();
		},
	});
	const raw = await dialRaw(port);
	raw.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	await gone.promise;
	expect(results).toEqual(["gone"]);
});

test("[G5] a socket that stands still is closed with 4008", async () => {
	const closed = later<number>();
	const { port } = await open({
		stalledMs: 200,
		socket(socket) {
			const fill = () => {
				while (socket.send("x".repeat(50_000)) === "sent");
			};
			socket.onDrain(fill);
			socket.onClose(closed.resolve);
			fill();
		},
	});
	const raw = await dialRaw(port);
	raw.write(upgrade);
	expect(await closed.promise).toBe(4008);
});

test("a port that is taken is refused with the address and what to do", async () => {
	const port = await freePort();
	await open({}, port);
	await expect(open({}, port)).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is taken`);
});

async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	await promisify(server.close.bind(server))();
	return typeof address === "object" ? (address?.port ?? 0) : 0;
}

test("it listens on the given address alone", async () => {
	const { port } = await open();
	const elsewhere = connect({ host: "127.0.0.2", port });
	const [error] = await once(elsewhere, "error");
	expect(error).toMatchObject({ code: "ECONNREFUSED" });
});

test("stopAccepting refuses newcomers and leaves those who are there", async () => {
	const { ws, port, stopAccepting } = await open();
	const client = await dial(ws);
	const kept = await dialRaw(port);
	stopAccepting();
	stopAccepting();
	const newcomer = connect({ host: "127.0.0.1", port });
	const [error] = await once(newcomer, "error");
	expect(error).toMatchObject({ code: "ECONNREFUSED" });
	client.send("still here");
	expect(await frameOf(client)).toBe("still here");
	kept.write(upgrade);
	await once(kept.resume(), "close");
});

test("closeAll closes every socket with the code and ends every stream", async () => {
	const codes: number[] = [];
	const gone: string[] = [];
	const { ws, url, closeAll } = await open({
		http(exchange) {
			exchange.onGone(() => gone.push("gone"));
			exchange.stream(200, {}).write("begun");
		},
		socket(socket) {
			socket.onClose((code) => codes.push(code));
			socket.send("ready");
		},
	});
	const clients = Array.from({ length: 250 }, () => new WebSocket(ws));
	await Promise.all(clients.map(frameOf));
	const stream = await fetch(url);
	const closes = Promise.all(clients.map(closeOf));
	await closeAll(1012, "restart, resume");
	expect(codes).toEqual(Array.from({ length: 250 }, () => 1012));
	expect(new Set((await closes).map(({ code, reason }) => `${code} ${reason}`))).toEqual(
		new Set(["1012 restart, resume"]),
	);
	expect(await stream.text()).toBe("begun");
	expect(gone).toEqual([]);
});
