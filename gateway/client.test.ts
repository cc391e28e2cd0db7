import { once } from "node:events";
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectBus } from "../infra/bus/connect.ts";
import { jetStreamLog } from "../infra/bus/jetstream-log.ts";
import { type Link, openLink } from "../infra/bus/link.ts";
import { ensureStreams } from "../infra/bus/streams.ts";
import { loadUws } from "../infra/native/uws-binary.ts";
import { cacheFolder } from "../infra/paths.ts";
import { silent, startTestNats, type TestNats } from "../infra/testing/nats.ts";
import type { EventFrame } from "../schemas/frames.ts";
import type { Log } from "../subjects/log.ts";
import { randomRequestId } from "../subjects/subjects.ts";
import { type Client, connect } from "./client.ts";
import { type ClientEvent, openFollowing, type Stream } from "./client-stream.ts";
import { startGateway } from "./gateway.ts";
import { memoryPorts } from "./testing/memory-ports.ts";
import { storyOf } from "./testing/story.ts";
import { listen, type UwsModule } from "./uws.ts";

let nats: TestNats;
let link: Link;
let log: Log;
let library: UwsModule;
beforeAll(async () => {
	[nats, library] = await Promise.all([startTestNats(), loadUws(cacheFolder, silent.info)]);
	link = openLink(await connectBus({ url: nats.url, token: nats.token, name: "client", log: silent }));
	await ensureStreams(link.connection, 24);
	log = jetStreamLog({ link, writer: "client", patienceMs: 5_000 });
});
afterAll(async () => {
	await link?.close();
	await nats?.[Symbol.asyncDispose]();
});

/** A gateway behind a line that a test can cut; `onReply` sees what the server says before the client does. */
async function start() {
	const ports = memoryPorts(log);
	const gateway = await startGateway({
		...ports,
		listen: (doors) => listen(library, { host: "127.0.0.1", port: 0 }, doors),
	});
	const open = new Set<Socket>();
	const line = { cuts: 0, onData: (_: Buffer): boolean => true };
	const proxy = createServer((near) => {
		const far = dial(gateway.port, "127.0.0.1");
		for (const [one, other] of [
			[near, far],
			[far, near],
		] as const) {
			open.add(one);
			one.on("error", () => {});
			one.on("close", () => {
				open.delete(one);
				other.destroy();
			});
		}
		near.on("data", (data) => far.write(data));
		far.on("data", (data) => {
			if (line.onData(data)) near.write(data);
		});
	});
	proxy.listen(0, "127.0.0.1");
	await once(proxy, "listening");
	const { port } = proxy.address() as AddressInfo;
	const cut = () => {
		line.cuts++;
		for (const socket of [...open]) socket.destroy();
	};
	onTestFinished(async () => {
		cut();
		proxy.close();
		await gateway.stop();
	});
	const client = (token = "alice-key"): Client => {
		const made = connect({ url: `http://127.0.0.1:${port}`, token });
		onTestFinished(() => made.close());
		return made;
	};
	return { ports, gateway, cut, line, client };
}

async function addressOf(stream: Stream) {
	const { request_id = "", session_id = "" } = await stream.reply;
	return { tenant: "acme", request: request_id, session: session_id };
}

async function all(stream: Stream): Promise<ClientEvent[]> {
	const events: ClientEvent[] = [];
	for await (const event of stream) events.push(event);
	return events;
}

const seqs = (events: ClientEvent[]) => events.map((event) => ("seq" in event ? event.seq : event.type));

test("a submit yields every event and ends with the request", async () => {
	const { client } = await start();
	const stream = client().submit({ input: "hello" });
	const address = await addressOf(stream);
	const story = await storyOf(log, address);
	await story.begin();
	await story.delta("one");
	await story.end();
	const events = await all(stream);
	expect(events.map(({ type }) => type).slice(-2)).toEqual(["usage.completed", "message.completed"]);
	expect(events).toHaveLength(7);
});

test("[P9] a line that is cut again and again: nothing is lost, nothing comes twice", async () => {
	const { client, cut, line } = await start();
	const one = client();
	const stream = one.submit({ input: "hello" });
	const address = await addressOf(stream);
	const story = await storyOf(log, address);
	const telling = (async () => {
		await story.begin();
		for (let at = 0; at < 40; at++) await story.delta(`${at} `);
	})();
	const events: EventFrame[] = [];
	for await (const event of stream) {
		if ("seq" in event) events.push(event as EventFrame);
		if (events.length % 10 === 5) cut();
		if (events.length === 43) await story.end();
	}
	await telling;
	expect(line.cuts).toBeGreaterThan(3);
	expect(events.map(({ prev }) => prev)).toEqual([0, ...events.map(({ seq }) => seq).slice(0, -1)]);
	const text = events.map((event) => (event.type === "output_text.delta" ? event.text : "")).join("");
	expect(text).toBe(Array.from({ length: 40 }, (_, at) => `${at} `).join(""));
});

test("[P6] a submit whose reply was lost is submitted again and is one request", async () => {
	const { client, cut, line } = await start();
	let lost = 0;
	line.onData = (data) => {
		if (!data.includes('"status":"accepted"')) return true;
		lost++;
		cut();
		return false;
	};
	const stream = client().submit({ input: "hello" });
	expect(await stream.reply).toMatchObject({ status: "attached" });
	expect(lost).toBe(1);
	await (await storyOf(log, await addressOf(stream))).end();
	expect(seqs(await all(stream))).toEqual([1, 2, 4, 5]);
});

test("a gateway that drains is left and the stream goes on at the next one", async () => {
	const { client, gateway, line } = await start();
	const stream = client().submit({ input: "hello" });
	const address = await addressOf(stream);
	const story = await storyOf(log, address);
	await story.begin();
	const closed = new Promise<void>((resolve) => {
		line.onData = (data) => {
			// 1012 in the close frame.
			if (data.includes(Buffer.from([0x03, 0xf4]))) resolve();
			return true;
		};
	});
	const other = await start();
	await gateway.drain();
	await closed;
	await story.end();
	// The cursor that the first one gave is good at the other.
	const rest = other.client().resume(address.request, 3);
	expect(seqs(await all(rest))).toEqual([5, 6, 8, 9]);
});

test("resume: the suffix; a snapshot and the rest; an end that is reached already; a cursor that diverged", async () => {
	const { client } = await start();
	const one = client();
	const stream = one.submit({ input: "hello" });
	const address = await addressOf(stream);
	const story = await storyOf(log, address);
	await story.begin();
	await story.delta("so far");
	const snapshot = one.resume(address.request, 0, { snapshot: true });
	await snapshot.reply;
	await story.end();
	expect(seqs(await all(snapshot))).toEqual(["snapshot", 7, 9, 10]);
	expect(seqs(await all(one.resume(address.request, 6)))).toEqual([7, 9, 10]);
	expect(await all(one.resume(address.request, 10))).toEqual([]);
	await expect(all(one.resume(address.request, 11))).rejects.toMatchObject({ code: "diverged" });
	await expect(all(one.resume(randomRequestId()))).rejects.toMatchObject({ code: "unknown" });
});

test("cancel and feedback resolve; a refusal rejects with its code", async () => {
	const { client, ports } = await start();
	const one = client();
	const { request } = await addressOf(one.submit({ input: "hello" }));
	expect(await one.cancel(request)).toMatchObject({ status: "done" });
	expect(await one.feedback(request, 1, "good")).toMatchObject({ status: "done" });
	expect(ports.feedback.recorded).toHaveLength(1);
	await expect(one.cancel(randomRequestId())).rejects.toMatchObject({ code: "not_found" });
	ports.admission.refusal = { refused: "rate_limited", retryAfter: 7 };
	await expect(all(one.submit({ input: "x" }))).rejects.toMatchObject({ code: "rate_limited", retryAfter: 7 });
});

test("[P1] a token that the server does not know ends every stream", async () => {
	const { client } = await start();
	const one = client("wrong");
	await expect(all(one.submit({ input: "x" }))).rejects.toMatchObject({ code: "unauthorized" });
	await expect(all(one.submit({ input: "x" }))).rejects.toMatchObject({ code: "unauthorized" });
	await expect(one.cancel("r_x")).rejects.toMatchObject({ code: "unauthorized" });
});

test("closing ends the streams and cancels nothing", async () => {
	const { client } = await start();
	const one = client();
	const stream = one.submit({ input: "hello" });
	const address = await addressOf(stream);
	one.close();
	await expect(all(stream)).rejects.toMatchObject({ code: "closed" });
	expect(await log.read(address, 0)).toHaveLength(1);
});

const frame = (seq: number, prev: number): EventFrame => ({
	type: "output_text.delta",
	request_id: "r",
	seq,
	prev,
	text: "",
});

test("[G7] a frame whose prev the client has not seen is not taken, and resumed from the cursor", async () => {
	const following = openFollowing({ type: "submit", id: "1", input: "x" });
	following.answered({ type: "reply", id: "1", request_id: "r", status: "accepted" });
	expect([following.take(frame(1, 0)), following.take(frame(3, 1)), following.take(frame(6, 5))]).toEqual([
		true,
		true,
		false,
	]);
	expect(following.opening()).toEqual({ type: "resume", id: "1", request_id: "r", after: 3 });
	// Until the answer, frames belong to the broken follow.
	expect(following.take(frame(7, 6))).toBe(true);
	following.answered({ type: "reply", id: "1", request_id: "r", status: "recovered" });
	for (const next of [frame(3, 1), frame(5, 3), frame(6, 5), frame(7, 6)]) expect(following.take(next)).toBe(true);
	following.take({ ...frame(8, 7), type: "message.completed" });
	expect(seqs(await all(following.stream))).toEqual([1, 3, 5, 6, 7, 8]);
});
