import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectBus } from "../infra/bus/connect.ts";
import { jetStreamLog } from "../infra/bus/jetstream-log.ts";
import { type Link, openLink } from "../infra/bus/link.ts";
import { ensureStreams } from "../infra/bus/streams.ts";
import { loadUws } from "../infra/native/uws-binary.ts";
import { cacheFolder } from "../infra/paths.ts";
import { silent, startTestNats, type TestNats } from "../infra/testing/nats.ts";
import type { Log } from "../subjects/log.ts";
import { keyedRequestId, newSessionId, randomRequestId } from "../subjects/subjects.ts";
import { documentId } from "./doors/documents.ts";
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
	link = openLink(await connectBus({ url: nats.url, token: nats.token, name: "doors", log: silent }));
	await ensureStreams(link.connection, 24);
	log = jetStreamLog({ link, writer: "doors", patienceMs: 5_000 });
});
afterAll(async () => {
	await link?.close();
	await nats?.[Symbol.asyncDispose]();
});

async function start() {
	const ports = memoryPorts(log);
	const gateway = await startGateway({
		...ports,
		listen: (doors) => listen(library, { host: "127.0.0.1", port: 0 }, doors),
	});
	onTestFinished(() => gateway.stop());
	const base = `http://127.0.0.1:${gateway.port}`;
	const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
		fetch(base + path, {
			method,
			headers: { authorization: "Bearer alice-key", ...headers },
			...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
		});
	return { ports, gateway, base, call };
}

type Started = Awaited<ReturnType<typeof start>>;

const jsonOf = async (response: Response): Promise<Record<string, unknown>> => JSON.parse(await response.text());

const sse = { accept: "text/event-stream" };

/** One block of an event stream at a time, until it ends. */
async function* blocksOf(response: Response): AsyncGenerator<string> {
	const decoder = new TextDecoder();
	let buffer = "";
	for await (const chunk of response.body ?? []) {
		buffer += decoder.decode(chunk, { stream: true });
		const blocks = buffer.split("\n\n");
		buffer = blocks.pop() ?? "";
		yield* blocks;
	}
}

async function framesOf(response: Response) {
	const frames: { id: string | undefined; frame: Record<string, unknown> }[] = [];
	for await (const block of blocksOf(response)) {
		const data = /^data: (.*)$/m.exec(block)?.[1];
		if (data) frames.push({ id: /^id: (.*)$/m.exec(block)?.[1], frame: JSON.parse(data) });
	}
	return frames;
}

/** Submits without waiting; the caller tells the rest of the story. */
async function accepted({ call }: Started, body: unknown = { input: "hello" }, headers = {}) {
	const response = await call("POST", "/v1/requests", body, { prefer: "respond-async", ...headers });
	const { request_id, session_id } = await jsonOf(response);
	return { response, address: { tenant: "acme", request: String(request_id), session: String(session_id) } };
}

async function tell(address: { tenant: string; request: string; session: string }): Promise<void> {
	const story = await storyOf(log, address);
	await story.begin();
	await story.delta("Hello, ");
	await story.delta("world.");
	await story.end();
}

const requestIn = (response: Response) => response.headers.get("content-location")?.split("/").at(-1) ?? "";
const addressIn = (response: Response) => {
	const request = requestIn(response);
	return { tenant: "acme", request, session: newSessionId(request) };
};

test("[P29] a submit streams: retry, then each event with its id, and ends with the request", async () => {
	const { call } = await start();
	const response = await call("POST", "/v1/requests", { input: "hello" }, sse);
	expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
	await tell(addressIn(response));
	const blocks: string[] = [];
	for await (const block of blocksOf(response)) blocks.push(block);
	expect(blocks[0]).toMatch(/^retry: \d+$/);
	const request = requestIn(response);
	expect(blocks[1]).toMatch(
		new RegExp(`^id: ${request}:1\ndata: {"type":"request.accepted","request_id":"${request}","seq":1,"prev":0,`),
	);
	expect(blocks.at(-1)).toContain('"type":"message.completed"');
	expect(blocks.join()).not.toContain("event:");
});

test("[P11] the same key again streams the same transcript; over HTTP and WebSocket alike", async () => {
	const { call, base } = await start();
	const headers = { ...sse, "idempotency-key": randomRequestId() };
	const first = await call("POST", "/v1/requests", { input: "hello" }, headers);
	expect(first.headers.get("idempotency-replayed")).toBeNull();
	await tell(addressIn(first));
	const frames = await framesOf(first);
	const again = await call("POST", "/v1/requests", { input: "hello" }, headers);
	expect(again.headers.get("idempotency-replayed")).toBe("true");
	expect(await framesOf(again)).toEqual(frames);
	const other = await call("POST", "/v1/requests", { input: "another" }, headers);
	expect([other.status, await other.json()]).toMatchObject([422, { code: "idempotency_mismatch" }]);

	const socket = new WebSocket(`${base.replace("http", "ws")}/v1/stream`, "throughline.v1");
	const received: { seq?: number; type: string }[] = [];
	const ended = new Promise<void>((resolve) => {
		socket.onmessage = ({ data }) => {
			const frame = JSON.parse(data);
			received.push(frame);
			if (frame.type === "message.completed") resolve();
		};
	});
	await once(socket, "open");
	socket.send(JSON.stringify({ type: "hello", token: "alice-key" }));
	socket.send(JSON.stringify({ type: "submit", id: "1", input: "hello", idempotency_key: headers["idempotency-key"] }));
	await ended;
	socket.close();
	expect(received[1]).toMatchObject({ type: "reply", status: "attached", request_id: requestIn(first) });
	expect(received.filter(({ seq }) => seq !== undefined)).toEqual(frames.map(({ frame }) => frame));
});

test("[P30] without a stream the call waits for the final object", async () => {
	const started = await start();
	const headers = { "idempotency-key": randomRequestId() };
	const waiting = started.call("POST", "/v1/requests", { input: "hello" }, headers);
	const { address } = await accepted(started, { input: "hello" }, headers);
	await tell(address);
	const response = await waiting;
	const final = await jsonOf(response);
	expect([response.status, final]).toMatchObject([
		200,
		{
			request_id: address.request,
			session_id: address.session,
			status: "completed",
			output_text: "Hello, world.",
			finish_reason: "stop",
			final_seq: 11,
		},
	]);
	expect(final.usage).toMatchObject({ input_tokens: 3, output_tokens: 4 });
	expect(await (await started.call("GET", `/v1/requests/${address.request}`)).json()).toEqual(final);
});

test("[P7] respond-async answers 202 with where the result will be; of an ended request, the result", async () => {
	const started = await start();
	const headers = { "idempotency-key": randomRequestId() };
	const { response, address } = await accepted(started, { input: "hello" }, headers);
	expect([response.status, response.headers.get("location")]).toEqual([202, `/v1/requests/${address.request}`]);
	const running = await started.call("GET", `/v1/requests/${address.request}`);
	expect(await running.json()).toMatchObject({ status: "running", usage: null, finish_reason: null, final_seq: null });
	await tell(address);
	const again = await accepted(started, { input: "hello" }, headers);
	expect([again.response.status, again.response.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
});

test("[P29] events after a cursor, by header or query; 204 when nothing is left, 410 beyond the end", async () => {
	const started = await start();
	const { address } = await accepted(started);
	await tell(address);
	const path = `/v1/requests/${address.request}/events`;
	const all = await framesOf(await started.call("GET", path));
	expect(all).toHaveLength(8);
	const last = Number(all.at(-1)?.frame.seq);
	for (let after = 0; after < last; after++) {
		const rest = all.filter(({ frame }) => Number(frame.seq) > after);
		expect(await framesOf(await started.call("GET", `${path}?after=${after}`))).toEqual(rest);
		const byHeader = await started.call("GET", `${path}?after=0`, undefined, {
			"last-event-id": `${address.request}:${after}`,
		});
		expect(await framesOf(byHeader)).toEqual(rest);
	}
	expect((await started.call("GET", `${path}?after=${last}`)).status).toBe(204);
	const beyond = await started.call("GET", `${path}?after=${last + 1}`);
	expect([beyond.status, await beyond.json()]).toMatchObject([410, { code: "diverged" }]);
	for (const id of [`${randomRequestId()}:3`, "junk", `${address.request}:x`]) {
		const response = await started.call("GET", path, undefined, { "last-event-id": id });
		expect([response.status, await response.json()]).toMatchObject([400, { code: "invalid_body" }]);
	}
});

test("[P8] a stream that is cut cancels nothing", async () => {
	const { call } = await start();
	const abort = new AbortController();
	const { base } = await start();
	const response = await fetch(`${base}/v1/requests`, {
		method: "POST",
		headers: { authorization: "Bearer alice-key", ...sse },
		body: JSON.stringify({ input: "hello" }),
		signal: abort.signal,
	});
	const address = addressIn(response);
	abort.abort();
	await tell(address);
	const final = await call("GET", `/v1/requests/${address.request}`);
	expect(await final.json()).toMatchObject({ status: "completed" });
	const types = (await log.read(address, 0)).flatMap(({ events }) => events.map(({ type }) => type));
	expect(types).not.toContain("cancel.requested");
});

test("cancel and feedback answer done", async () => {
	const started = await start();
	const { address } = await accepted(started);
	const path = `/v1/requests/${address.request}`;
	const done = { request_id: address.request, status: "done" };
	expect(await (await started.call("POST", `${path}/cancel`)).json()).toEqual(done);
	await (await storyOf(log, address)).end("cancelled");
	expect(await (await started.call("POST", `${path}/cancel`)).json()).toEqual({ ...done, reason: "already ended" });
	expect(await (await started.call("POST", `${path}/feedback`, { score: -1 })).json()).toEqual(done);
	expect(started.ports.feedback.recorded).toMatchObject([{ request: address.request, score: -1, comment: "" }]);
	const wrong = await started.call("POST", `${path}/feedback`, { score: 2 });
	expect([wrong.status, await wrong.json()]).toMatchObject([400, { detail: expect.stringContaining('"score"') }]);
});

test("[P2] on every route a foreign id answers byte for byte as an unknown one", async () => {
	const started = await start();
	const { address } = await accepted(started);
	const ask = async (id: string, key: string) => {
		const headers = { authorization: `Bearer ${key}` };
		const answers = [];
		for (const [method, path, body] of [
			["GET", "", undefined],
			["GET", "/events", undefined],
			["GET", "/events?after=1000", undefined],
			["POST", "/cancel", undefined],
			["POST", "/feedback", { score: 1 }],
		] as const) {
			const response = await started.call(method, `/v1/requests/${id}${path}`, body, headers);
			answers.push([response.status, [...response.headers].filter(([name]) => name !== "date"), await response.text()]);
		}
		return JSON.stringify(answers).replaceAll(id, "ID");
	};
	const unknown = await ask(randomRequestId(), "alice-key");
	expect(unknown.match(/\[404,/g)).toHaveLength(5);
	expect(await ask(address.request, "bob-key")).toBe(unknown);
	expect(await ask(address.request, "stranger-key")).toBe(unknown);
	expect(await log.read(address, 0)).toHaveLength(1);
});

test("[P28] refusals are problem details that name the fault", async () => {
	const { call, ports } = await start();
	ports.admission.refusal = { refused: "rate_limited", retryAfter: 7 };
	const cases: [Response, number, string, RegExp][] = [
		[await call("POST", "/v1/requests", "{"), 400, "invalid_body", /JSON/],
		[await call("POST", "/v1/requests", {}), 400, "invalid_body", /"input" is expected to be .*, got nothing/],
		[await call("POST", "/v1/requests", { input: "x", nonsense: 1 }), 400, "invalid_body", /unknown field "nonsense"/],
		[await call("POST", "/v1/requests", { input: "x", feature: "no" }), 400, "unknown_feature", /"no" is none/],
		[await call("POST", "/v1/requests", { input: "x", feature: "admin" }), 403, "forbidden", /operator/],
		[await call("POST", "/v1/requests", { input: "x" }), 429, "rate_limited", /requests per minute/],
		[await call("POST", "/v1/requests", " ".repeat(300_000)), 413, "body_too_large", /at most 262144 bytes/],
		[
			await call("POST", "/v1/requests", {}, { authorization: "Bearer wrong" }),
			401,
			"unauthorized",
			/unknown or revoked/,
		],
		[await call("POST", "/v1/requests", {}, { authorization: "" }), 401, "unauthorized", /got none/],
		[await call("PUT", "/v1/requests", {}), 405, "method_not_allowed", /takes POST, got PUT/],
		[await call("GET", "/nowhere"), 404, "not_found", /\/v1\/requests\/{id}\/events/],
		[await call("GET", "/v1/requests/"), 404, "not_found", /a path of this server/],
	];
	for (const [response, status, code, detail] of cases) {
		expect(response.headers.get("content-type")).toBe("application/problem+json");
		expect([response.status, await response.json()]).toEqual([
			status,
			{ type: "about:blank", title: expect.any(String), status, code, detail: expect.stringMatching(detail) },
		]);
	}
	expect(cases[5]?.[0].headers.get("retry-after")).toBe("7");
	expect(cases[7]?.[0].headers.get("www-authenticate")).toBe("Bearer");
	expect(cases[9]?.[0].headers.get("allow")).toBe("POST");
});

test("[P33] a document becomes a request of the feature ingest; its content waits under its hash before the claim", async () => {
	const started = await start();
	const { call, ports } = started;
	const body = { name: "guide.md", media_type: "text/markdown", text: "# Guide" };
	const response = await call("POST", "/v1/documents", body, { prefer: "respond-async" });
	expect(response.status).toBe(202);
	const request = requestIn(response);
	const [entry] = await log.read({ tenant: "acme", request, session: "-" }, 0);
	expect(entry?.events[0]).toMatchObject({
		type: "request.accepted",
		data: {
			feature: "ingest",
			documents: [{ document_id: documentId("guide.md"), name: "guide.md", media_type: "text/markdown", bytes: 7 }],
		},
	});
	const [[key, text] = []] = ports.shelf.contents;
	expect(key).toMatch(new RegExp(`^acme/${request}/[0-9a-f]{64}$`));
	expect(text).toBe("# Guide");
	for (const wrong of [
		{ ...body, media_type: "image/png" },
		{ ...body, text: "" },
		{ ...body, more: 1 },
	])
		expect((await call("POST", "/v1/documents", wrong)).status).toBe(400);
	const large = await call("POST", "/v1/documents", { ...body, text: "x".repeat(4 * 1024 * 1024) });
	expect([large.status, await large.json()]).toMatchObject([413, { code: "body_too_large" }]);
});

test("[P33] the same key with another content of the document is a mismatch", async () => {
	const { call } = await start();
	const headers = { prefer: "respond-async", "idempotency-key": randomRequestId() };
	const body = { name: "a", media_type: "text/plain", text: "one" };
	expect((await call("POST", "/v1/documents", body, headers)).status).toBe(202);
	expect((await call("POST", "/v1/documents", body, headers)).status).toBe(202);
	expect((await call("POST", "/v1/documents", { ...body, text: "two" }, headers)).status).toBe(422);
});

test("documents are listed by page and removed once", async () => {
	const { call, ports } = await start();
	for (const name of ["d_a", "d_b", "d_c"]) ports.shelf.names.add(name);
	const pages = [];
	for (let after: string | null = ""; after !== null; ) {
		const text = await (await call("GET", `/v1/documents?limit=2${after && `&after=${after}`}`)).text();
		const page: { documents: { document_id: string }[]; next: string | null } = JSON.parse(text);
		pages.push(page.documents.map(({ document_id }) => document_id));
		after = page.next;
	}
	expect(pages).toEqual([["d_a", "d_b"], ["d_c"]]);
	expect((await call("DELETE", "/v1/documents/d_a")).status).toBe(204);
	expect((await call("DELETE", "/v1/documents/d_a")).status).toBe(404);
	expect((await call("GET", "/v1/documents?limit=x")).status).toBe(400);
});

test("health, readiness and metrics need no key; readiness names what is missing", async () => {
	const { base, ports } = await start();
	expect((await fetch(`${base}/healthz`)).status).toBe(200);
	expect((await fetch(`${base}/readyz`)).status).toBe(200);
	ports.missing.push("the log does not answer");
	const response = await fetch(`${base}/readyz`);
	expect([response.status, await response.json()]).toEqual([
		503,
		{ status: "not ready", missing: ["the log does not answer"] },
	]);
	expect((await fetch(`${base}/healthz`)).status).toBe(200);
	expect((await fetch(`${base}/metrics`)).headers.get("content-type")).toContain("version=0.0.4");
});

test("[P30] a server that drains answers waiting calls with where the result will be, and closes sockets with 1012", async () => {
	const started = await start();
	const key = randomRequestId();
	const waiting = started.call("POST", "/v1/requests", { input: "hello" }, { "idempotency-key": key });
	const request = keyedRequestId("acme", "alice", key);
	while (!(await log.tail("acme", request))) await nextTurn();
	const socket = new WebSocket(`${started.base.replace("http", "ws")}/v1/stream`, "throughline.v1");
	await once(socket, "open");
	const closed = once(socket, "close");
	const stream = await started.call("GET", `/v1/requests/${request}/events`);
	await started.gateway.drain();
	const response = await waiting;
	expect([response.status, response.headers.get("location")]).toEqual([202, `/v1/requests/${request}`]);
	expect((await closed)[0].code).toBe(1012);
	expect((await framesOf(stream)).map(({ frame }) => frame.type)).toEqual(["request.accepted"]);
});

test("[P1] a WebSocket may bring its key in the upgrade", async () => {
	const { base } = await start();
	const options = { headers: { authorization: "Bearer alice-key" }, protocols: ["throughline.v1"] };
	const socket = new WebSocket(`${base.replace("http", "ws")}/v1/stream`, options);
	const [{ data }] = await once(socket, "message");
	expect(JSON.parse(data)).toMatchObject({ type: "ready", principal: "alice" });
	socket.close();
});

test("[P32] a traceparent is continued", async () => {
	const started = await start();
	const trace = "0af7651916cd43dd8448eb211c80319c";
	const { address } = await accepted(started, { input: "x" }, { traceparent: `00-${trace}-b7ad6b7169203331-01` });
	expect((await log.tail("acme", address.request))?.trace).toMatch(new RegExp(`^00-${trace}-`));
});

test("[P29] a reader that stops reading gets the rest when it reads again", async () => {
	const started = await start();
	const { address } = await accepted(started);
	const response = await started.call("GET", `/v1/requests/${address.request}/events`);
	const story = await storyOf(log, address);
	await story.begin();
	// More than sockets and buffers on both sides hold.
	for (let at = 0; at < 80; at++) await story.delta("x".repeat(150_000));
	await story.end();
	const frames = await framesOf(response);
	const text = frames.map(({ frame }) => (frame.type === "output_text.delta" ? String(frame.text) : "")).join("");
	expect(text.length).toBe(80 * 150_000);
	expect(frames.map(({ frame }) => frame.prev)).toEqual([0, ...frames.map(({ frame }) => frame.seq).slice(0, -1)]);
}, 60_000);
