import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../gateway/client.ts";
import { configFolder } from "../paths.ts";
import { type App, type ProcessName, startApp } from "../testing/app.ts";
import { call, openRawSocket, type RawAnswer, type RawCall, sseFrames } from "../testing/raw-client.ts";
import { type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { ask, endOf, faultsOf, type Transcript } from "../testing/transcript.ts";

const PROCESSES: readonly ProcessName[] = ["supervisor", "gateway", "actors-1", "actors-2", "nats"];

const UNKNOWN = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa";

let provider: ScriptedProvider;
let app: App;
let config: string;
let token: string;
let pids: number[];

const pidsNow = () => Promise.all(PROCESSES.map((name) => app.pid(name)));
const as = (path: string, what?: RawCall) => call(app.url, token, path, what);
const post = (body: unknown, headers: Record<string, string> = {}) => as("/v1/requests", { body, headers });

beforeAll(async () => {
	config = await mkdtemp(join(tmpdir(), "throughline-config-"));
	await cp(configFolder, config, { recursive: true });
	await cp(join(config, "features/chat"), join(config, "features/staff"), { recursive: true });
	const path = join(config, "features/staff/feature.yaml");
	const chat = await readFile(path, "utf8");
	await writeFile(path, chat.replace("name: chat", "name: staff\nroles: [developer]"));
	provider = await startScriptedProvider();
	app = await startApp({
		OPENAI_BASE_URL: `${provider.url}/v1`,
		OPENAI_API_KEY: "test",
		THROUGHLINE_FEATURE: "chat",
		THROUGHLINE_CONFIG: config,
		THROUGHLINE_OPEN_REQUESTS: "3",
	});
	token = await app.key("acme");
	pids = await pidsNow();
});
afterAll(async () => {
	await app[Symbol.asyncDispose]();
	await provider[Symbol.asyncDispose]();
	await rm(config, { recursive: true, force: true });
});
afterEach(() => provider.reset());

/** What a client reads of a refusal, and that it is lawful problem details. */
function refusal({ status, headers, text }: RawAnswer): string {
	expect(headers["content-type"]).toBe("application/problem+json");
	const { detail, code, ...rest } = JSON.parse(text);
	expect(rest).toEqual({ type: "about:blank", title: expect.any(String), status });
	return `${status} ${code}: ${detail}`;
}

describe("HTTP refuses with words that help", () => {
	test("[P1] a call without a good key", async () => {
		const answers = await Promise.all([
			call(app.url, undefined, "/v1/requests", { body: { input: "hi" } }),
			call(app.url, "tl_acme_0000000000000000_nobody", "/v1/requests", { body: { input: "hi" } }),
			call(app.url, `${token.slice(0, -1)}${token.endsWith("a") ? "b" : "a"}`, "/v1/requests", {
				body: { input: "hi" },
			}),
			call(app.url, undefined, "/v1/requests", { body: { input: "hi" }, headers: { authorization: "Basic YTpi" } }),
			call(app.url, "é".repeat(10), "/v1/documents"),
			call(app.url, "x".repeat(3000), "/v1/documents"),
		]);
		for (const { headers } of answers) expect(headers["www-authenticate"]).toBe("Bearer");
		expect(answers.map(refusal)).toMatchInlineSnapshot(`
			[
			  "401 unauthorized: a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got none",
			  "401 unauthorized: a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got one that is unknown or revoked",
			  "401 unauthorized: a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got one that is unknown or revoked",
			  "401 unauthorized: a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got none",
			  "401 unauthorized: a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got none",
			  "401 unauthorized: a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got one that is unknown or revoked",
			]
		`);
	});

	test("[P4] a submit that is not what the protocol expects", async () => {
		const bodies = {
			"broken JSON": '{"input": "hi"',
			"not an object": "7",
			"empty body": "",
			"no input": {},
			"empty input": { input: "" },
			"input of the wrong type": { input: 7 },
			"empty parts": { input: [] },
			"a part of an unknown type": { input: [{ type: "image", url: "x" }] },
			"input too long": { input: "x".repeat(65_537) },
			"parts too long together": {
				input: Array.from({ length: 2 }, () => ({ type: "text", text: "x".repeat(40_000) })),
			},
			"unknown field": { input: "hi", inptu: "hi" },
			"wrong deadline": { input: "hi", deadline_ms: 1 },
			"deadline of the wrong type": { input: "hi", deadline_ms: "soon" },
			"wrong metadata": { input: "hi", metadata: { a: 1 } },
			"history where the server keeps it": { input: "hi", history: [{ role: "user", text: "a" }] },
			"malformed session": { input: "hi", session_id: "s_1" },
			"unknown session": { input: "hi", session_id: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
			"unknown feature": { input: "hi", feature: "chta" },
			"malformed feature": { input: "hi", feature: "../../etc" },
			"a feature that wants another role": { input: "hi", feature: "staff" },
			"a feature called as a part of every object": { input: "hi", feature: "constructor" },
			"a field called as a part of every object": '{"input":"hi","__proto__":{"feature":"staff"}}',
		};
		const said: Record<string, string> = {};
		for (const [name, body] of Object.entries(bodies)) said[name] = refusal(await post(body));
		expect(said).toMatchInlineSnapshot(`
			{
			  "a feature called as a part of every object": "400 unknown_feature: "feature" is expected to be one of the configuration, and "constructor" is none",
			  "a feature that wants another role": "403 forbidden: feature staff expects one of the roles developer",
			  "a field called as a part of every object": "400 invalid_body: unknown field "__proto__". See P4 in PROTOCOL.md.",
			  "a part of an unknown type": "400 invalid_body: "input.0.type" is expected to be "text", got a string ("image"). See P4 in PROTOCOL.md.",
			  "broken JSON": "400 invalid_body: the body is expected to be JSON, got something else (Expected ',' or '}' after property value in JSON at position 14 (line 1 column 15))",
			  "deadline of the wrong type": "400 invalid_body: "deadline_ms" is expected to be a number, got a string ("soon"). See P4 in PROTOCOL.md.",
			  "empty body": "400 invalid_body: the body is expected to be JSON, got something else (Unexpected end of JSON input)",
			  "empty input": "400 invalid_body: "input" is expected to be a non-empty string, got a string (""). See P4 in PROTOCOL.md.",
			  "empty parts": "400 invalid_body: "input" is expected to be a non-empty list, got a list of 0. See P4 in PROTOCOL.md.",
			  "history where the server keeps it": "400 invalid_body: "history" belongs to features whose history the client holds, and chat is none: leave it out",
			  "input of the wrong type": "400 invalid_body: "input" is expected to be a non-empty string of at most 65536 characters or a list of content parts {type: "text", text}, got a number (7). See P4 in PROTOCOL.md.",
			  "input too long": "400 invalid_body: "input" is expected to be a string of at most 65536 characters, got a string of 65537 characters ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"). See P4 in PROTOCOL.md.",
			  "malformed feature": "400 invalid_body: "feature" is expected to be 1 to 64 of A-Z a-z 0-9 _ -, got a string ("../../etc"). See P4 in PROTOCOL.md.",
			  "malformed session": "400 invalid_body: "session_id" is expected to be a session id (s_ and 26 characters), got a string ("s_1"). See P4 in PROTOCOL.md.",
			  "no input": "400 invalid_body: "input" is expected to be a non-empty string of at most 65536 characters or a list of content parts {type: "text", text}, got nothing. See P4 in PROTOCOL.md.",
			  "not an object": "400 invalid_body: the body is expected to be an object, got a number (7). See P4 in PROTOCOL.md.",
			  "parts too long together": "413 body_too_large: "input" is expected to have at most 65536 characters in all, got 80002. Longer material belongs into documents.",
			  "unknown feature": "400 unknown_feature: "feature" is expected to be one of the configuration, and "chta" is none",
			  "unknown field": "400 invalid_body: unknown field "inptu". See P4 in PROTOCOL.md.",
			  "unknown session": "404 not_found: session_id is expected to name a session of this caller, and none has this id. Leave it out to begin a new session.",
			  "wrong deadline": "400 invalid_body: "deadline_ms" is expected to be at least 100, got a number (1). See P4 in PROTOCOL.md.",
			  "wrong metadata": "400 invalid_body: "metadata.a" is expected to be a string, got a number (1). See P4 in PROTOCOL.md.",
			}
		`);
		expect(await provider.bill()).toEqual([]);
	});

	test("a feature with roles serves whoever has one of them", async () => {
		const developer = await app.key("acme", "dev", ["developer"]);
		const answer = await call(app.url, developer, "/v1/requests", { body: { input: "hi", feature: "staff" } });
		expect(JSON.parse(answer.text)).toMatchObject({ status: "completed" });
	});

	test("[P27] bodies over the limit, of either route", async () => {
		const document = (bytes: number) => ({ name: "big.md", media_type: "text/plain", text: "x".repeat(bytes) });
		expect(refusal(await post({ input: "x".repeat(1024 * 1024) }))).toMatchInlineSnapshot(
			`"413 body_too_large: a body of at most 262144 bytes is expected, got a longer one"`,
		);
		expect(refusal(await as("/v1/documents", { body: document(5 * 1024 * 1024) }))).toMatchInlineSnapshot(
			`"413 body_too_large: a body of at most 4194304 bytes is expected, got a longer one"`,
		);
	});

	test("[P33] documents that cannot be taken", async () => {
		const good = { name: "a.md", media_type: "text/markdown", text: "# A" };
		const bodies = {
			"media type": { ...good, media_type: "application/pdf" },
			"empty text": { ...good, text: "" },
			"text that is no string": { ...good, text: ["a"] },
			"no name": { media_type: "text/plain", text: "a" },
			"long name": { ...good, name: "n".repeat(201) },
			"unknown field": { ...good, labels: ["a"] },
		};
		const said: Record<string, string> = {};
		for (const [name, body] of Object.entries(bodies)) said[name] = refusal(await as("/v1/documents", { body }));
		said["a page of no size"] = refusal(await as("/v1/documents?limit=many"));
		said["an unknown one to delete"] = refusal(await as("/v1/documents/d_1", { method: "DELETE" }));
		expect(said).toMatchInlineSnapshot(`
			{
			  "a page of no size": "400 invalid_body: "limit" is expected to be a whole number up to 200, got "many"",
			  "an unknown one to delete": "404 not_found: a document of this tenant is expected, and none has this id",
			  "empty text": "400 invalid_body: "text" is expected to be a non-empty string, got a string (""). See PROTOCOL.md.",
			  "long name": "400 invalid_body: "name" is expected to be a string of at most 200 characters, got a string of 201 characters ("nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…"). See PROTOCOL.md.",
			  "media type": "400 invalid_body: "media_type" is expected to be one of "text/markdown", "text/plain", got a string ("application/pdf"). See PROTOCOL.md.",
			  "no name": "400 invalid_body: "name" is expected to be a string, got nothing. See PROTOCOL.md.",
			  "text that is no string": "400 invalid_body: "text" is expected to be a string, got a list of 1. See PROTOCOL.md.",
			  "unknown field": "400 invalid_body: unknown field "labels". See PROTOCOL.md.",
			}
		`);
	});

	test("[P28] paths and methods that are not there", async () => {
		const calls: Record<string, Promise<RawAnswer>> = {
			path: as("/v2/requests"),
			"path traversal": as("/v1/requests/..%2f..%2fetc%2fpasswd"),
			method: as("/v1/requests", { method: "PUT", body: {} }),
			"method on a request": as(`/v1/requests/${UNKNOWN}`, { method: "DELETE" }),
			"the stream without an upgrade": as("/v1/stream"),
		};
		const said: Record<string, string> = {};
		for (const [name, answer] of Object.entries(calls)) said[name] = refusal(await answer);
		expect((await as("/v1/documents", { method: "PATCH" })).headers.allow).toBe("POST, GET");
		expect(said).toMatchInlineSnapshot(`
			{
			  "method": "405 method_not_allowed: /v1/requests takes POST, got PUT",
			  "method on a request": "405 method_not_allowed: /v1/requests/r_aaaaaaaaaaaaaaaaaaaaaaaaaa takes GET, got DELETE",
			  "path": "404 not_found: a path of this server is expected: /v1/requests, /v1/requests/{id}, /v1/requests/{id}/events, /v1/requests/{id}/cancel, /v1/requests/{id}/feedback, /v1/documents, /v1/documents/{id}, /healthz, /readyz, /metrics, /v1/stream (WebSocket)",
			  "path traversal": "404 not_found: a request of this caller is expected, and none has this id: it is unknown, expired or somebody else's. See POST /v1/requests in PROTOCOL.md.",
			  "the stream without an upgrade": "404 not_found: a path of this server is expected: /v1/requests, /v1/requests/{id}, /v1/requests/{id}/events, /v1/requests/{id}/cancel, /v1/requests/{id}/feedback, /v1/documents, /v1/documents/{id}, /healthz, /readyz, /metrics, /v1/stream (WebSocket)",
			}
		`);
	});

	test("[P21] cursors that fit nothing", async () => {
		const { request_id } = endOf(await ask(app.url, token, { input: "hello" }));
		const events = (query: string, header?: string) =>
			as(
				`/v1/requests/${request_id}/events${query}`,
				header === undefined ? {} : { headers: { "last-event-id": header } },
			);
		expect({
			"no number": refusal(await events("?after=x")),
			negative: refusal(await events("?after=-1")),
			"beyond the end": refusal(await events("?after=9999")),
			"header without a request": refusal(await events("", "7")),
			"header of another request": refusal(await events("", `${UNKNOWN}:7`)),
			"header beyond the end": refusal(await events("", `${request_id}:9999`)),
		}).toMatchInlineSnapshot(`
			{
			  "beyond the end": "410 diverged: a cursor within the log is expected, and 9999 lies beyond its end: it belongs to a log that is lost. Begin again from 0.",
			  "header beyond the end": "410 diverged: a cursor within the log is expected, and 9999 lies beyond its end: it belongs to a log that is lost. Begin again from 0.",
			  "header of another request": "400 invalid_body: Last-Event-ID is expected to be "<request_id>:<seq>" of this request, got "r_aaaaaaaaaaaaaaaaaaaaaaaaaa:7"",
			  "header without a request": "400 invalid_body: Last-Event-ID is expected to be "<request_id>:<seq>" of this request, got "7"",
			  "negative": "400 invalid_body: "after" is expected to be a whole number up to 999999999, got "-1"",
			  "no number": "400 invalid_body: "after" is expected to be a whole number up to 999999999, got "x"",
			}
		`);
	});

	test("feedback and cancel with nothing to them", async () => {
		const { request_id } = endOf(await ask(app.url, token, { input: "hello" }));
		const feedback = (body: unknown) => as(`/v1/requests/${request_id}/feedback`, { body });
		expect({
			"no score": refusal(await feedback({})),
			"score out of range": refusal(await feedback({ score: 2 })),
			"broken JSON": refusal(await feedback("{")),
			"malformed id": refusal(await as("/v1/requests/r_1/cancel", { method: "POST" })),
		}).toMatchInlineSnapshot(`
			{
			  "broken JSON": "400 invalid_body: the body is expected to be JSON, got something else (Expected property name or '}' in JSON at position 1 (line 1 column 2))",
			  "malformed id": "404 not_found: a request of this caller is expected, and none has this id: it is unknown, expired or somebody else's. See POST /v1/requests in PROTOCOL.md.",
			  "no score": "400 invalid_body: "score" is expected to be a number, got nothing. See PROTOCOL.md.",
			  "score out of range": "400 invalid_body: "score" is expected to be at most 1, got a number (2). See PROTOCOL.md.",
			}
		`);
		const cancel = await as(`/v1/requests/${request_id}/cancel`, { method: "POST" });
		expect(JSON.parse(cancel.text)).toEqual({ request_id, status: "done", reason: "already ended" });
	});

	test("[P6] an idempotency key that is empty, too long, or was used for something else", async () => {
		expect(refusal(await post({ input: "hi" }, { "idempotency-key": "" }))).toMatchInlineSnapshot(
			`"400 invalid_body: the idempotency key is expected to have 1 to 255 characters, got 0"`,
		);
		expect(refusal(await post({ input: "hi" }, { "idempotency-key": "k".repeat(256) }))).toMatchInlineSnapshot(
			`"400 invalid_body: the idempotency key is expected to have 1 to 255 characters, got 256"`,
		);
		await post({ input: "hi" }, { "idempotency-key": "used" });
		expect(refusal(await post({ input: "ho" }, { "idempotency-key": "used" }))).toMatchInlineSnapshot(
			`"422 idempotency_mismatch: the same body as before is expected under this idempotency key, and another one came. Use a new key for a new request."`,
		);
	});
});

describe("WebSocket refuses with words that help", () => {
	test("[P16] a socket without a good hello", async () => {
		const said: Record<string, unknown> = {};
		for (const [name, frame] of Object.entries({
			"a frame before hello": { type: "submit", id: "1", input: "hi" },
			"an unknown key": { type: "hello", token: "tl_acme_0000000000000000_nobody" },
			"a malformed key": { type: "hello", token: "?" },
		})) {
			using socket = await openRawSocket(app.url);
			socket.send(frame);
			said[name] = { first: await socket.next(), closed: await socket.closed };
		}
		expect(said).toMatchInlineSnapshot(`
			{
			  "a frame before hello": {
			    "closed": {
			      "code": 4001,
			      "reason": "unauthorized",
			    },
			    "first": "{"type":"error","code":"unauthorized","message":"a \\"hello\\" frame is expected first, got \\"submit\\""}",
			  },
			  "a malformed key": {
			    "closed": {
			      "code": 4001,
			      "reason": "unauthorized",
			    },
			    "first": "{"type":"error","code":"unauthorized","message":"a key of this server is expected (\\"Authorization: Bearer <key>\\", or \\"token\\" in hello), got one that is unknown or revoked"}",
			  },
			  "an unknown key": {
			    "closed": {
			      "code": 4001,
			      "reason": "unauthorized",
			    },
			    "first": "{"type":"error","code":"unauthorized","message":"a key of this server is expected (\\"Authorization: Bearer <key>\\", or \\"token\\" in hello), got one that is unknown or revoked"}",
			  },
			}
		`);
	});

	test("[P18] frames that fit nothing are answered by name, and the socket lives", async () => {
		using socket = await openRawSocket(app.url, token);
		const said: Record<string, string> = {};
		for (const [name, frame] of Object.entries({
			"broken JSON": '{"type":"submit","id":"a"',
			"no object": "[1]",
			"unknown type": { type: "sumbit", id: "b", input: "hi" },
			"a type called as a part of every object": { type: "constructor", id: "b2" },
			"no JSON at all": "hello?",
			nothing: "null",
			"no type": { id: "c" },
			"no id": { type: "submit", input: "hi" },
			"id of the wrong type": { type: "submit", id: 7, input: "hi" },
			"unknown field": { type: "submit", id: "d", input: "hi", colour: "red" },
			"empty input": { type: "submit", id: "e", input: "" },
			"unknown feature": { type: "submit", id: "f", input: "hi", feature: "chta" },
			"another role": { type: "submit", id: "g", input: "hi", feature: "staff" },
			"a second hello": { type: "hello", token },
			"over 128 KiB": { type: "submit", id: "h", input: "hi", metadata: { filling: "x".repeat(130 * 1024) } },
			"resume of an unknown id": { type: "resume", id: "i", request_id: UNKNOWN, after: 0 },
			"resume of no id": { type: "resume", id: "j", request_id: "x", after: 0 },
			"resume without a cursor": { type: "resume", id: "k", request_id: "x" },
			"cancel of an unknown id": { type: "cancel", id: "l", request_id: UNKNOWN },
			"watch of an unknown session": { type: "watch", id: "m", session_id: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
			"feedback out of range": { type: "feedback", id: "n", request_id: UNKNOWN, score: 5 },
		})) {
			socket.send(frame);
			said[name] = await socket.next();
		}
		expect(said).toMatchInlineSnapshot(`
			{
			  "a second hello": "{"type":"error","code":"invalid_body","message":"one \\"hello\\" is expected, this is another"}",
			  "a type called as a part of every object": "{"type":"error","id":"b2","code":"invalid_body","message":"\\"type\\" is expected to be one of \\"hello\\", \\"submit\\", \\"resume\\", \\"cancel\\", \\"watch\\", \\"feedback\\", \\"ping\\", got a string (\\"constructor\\"). See PROTOCOL.md."}",
			  "another role": "{"type":"error","id":"g","code":"forbidden","message":"feature staff expects one of the roles developer"}",
			  "broken JSON": "{"type":"error","code":"invalid_body","message":"a frame is expected to be one JSON object, got broken JSON"}",
			  "cancel of an unknown id": "{"type":"error","id":"l","code":"not_found","message":"a request of this caller is expected, and none has this id: it is unknown, expired or somebody else's. See POST /v1/requests in PROTOCOL.md."}",
			  "empty input": "{"type":"error","id":"e","code":"invalid_body","message":"\\"input\\" is expected to be a non-empty string, got a string (\\"\\"). See PROTOCOL.md."}",
			  "feedback out of range": "{"type":"error","id":"n","code":"invalid_body","message":"\\"score\\" is expected to be at most 1, got a number (5). See PROTOCOL.md."}",
			  "id of the wrong type": "{"type":"error","code":"invalid_body","message":"\\"id\\" is expected to be a string, got a number (7). See PROTOCOL.md."}",
			  "no JSON at all": "{"type":"error","code":"invalid_body","message":"a frame is expected to be one JSON object, got broken JSON"}",
			  "no id": "{"type":"error","code":"invalid_body","message":"\\"id\\" is expected to be a string, got nothing. See PROTOCOL.md."}",
			  "no object": "{"type":"error","code":"invalid_body","message":"a frame is expected to be one JSON object, got [1]"}",
			  "no type": "{"type":"error","id":"c","code":"invalid_body","message":"\\"type\\" is expected to be one of \\"hello\\", \\"submit\\", \\"resume\\", \\"cancel\\", \\"watch\\", \\"feedback\\", \\"ping\\", got nothing. See PROTOCOL.md."}",
			  "nothing": "{"type":"error","code":"invalid_body","message":"a frame is expected to be one JSON object, got null"}",
			  "over 128 KiB": "{"type":"error","id":"h","code":"body_too_large","message":"a frame is expected to have at most 131072 bytes, got 133185"}",
			  "resume of an unknown id": "{"type":"reply","id":"i","request_id":"r_aaaaaaaaaaaaaaaaaaaaaaaaaa","status":"gone","reason":"unknown"}",
			  "resume of no id": "{"type":"reply","id":"j","request_id":"x","status":"gone","reason":"unknown"}",
			  "resume without a cursor": "{"type":"error","id":"k","code":"invalid_body","message":"\\"after\\" is expected to be a number, got nothing. See PROTOCOL.md."}",
			  "unknown feature": "{"type":"error","id":"f","code":"unknown_feature","message":"\\"feature\\" is expected to be one of the configuration, and \\"chta\\" is none"}",
			  "unknown field": "{"type":"error","id":"d","code":"invalid_body","message":"unknown field \\"colour\\". See PROTOCOL.md."}",
			  "unknown type": "{"type":"error","id":"b","code":"invalid_body","message":"\\"type\\" is expected to be one of \\"hello\\", \\"submit\\", \\"resume\\", \\"cancel\\", \\"watch\\", \\"feedback\\", \\"ping\\", got a string (\\"sumbit\\"). See PROTOCOL.md."}",
			  "watch of an unknown session": "{"type":"error","id":"m","code":"not_found","message":"session_id is expected to name a session of this caller, and none has this id. Leave it out to begin a new session."}",
			}
		`);
		socket.send({ type: "submit", id: "z", input: "hi" });
		await socket.next(({ type }) => type === "message.completed");
	});

	test("[P21] a cursor beyond the end is diverged", async () => {
		const { request_id } = endOf(await ask(app.url, token, { input: "hello" }));
		using socket = await openRawSocket(app.url, token);
		socket.send({ type: "resume", id: "1", request_id, after: 9_999 });
		expect(JSON.parse(await socket.next())).toEqual({
			type: "reply",
			id: "1",
			request_id,
			status: "gone",
			reason: "diverged",
		});
	});

	test("[P17] two frames of one id are two answers", async () => {
		using socket = await openRawSocket(app.url, token);
		socket.send({ type: "submit", id: "same", input: "one" });
		socket.send({ type: "submit", id: "same", input: "two" });
		const replies = [1, 2].map(() => socket.next(({ id }) => id === "same"));
		const requests = (await Promise.all(replies)).map((text) => JSON.parse(text));
		expect(requests).toMatchObject([{ status: "accepted" }, { status: "accepted" }]);
		expect(new Set(requests.map(({ request_id }) => request_id)).size).toBe(2);
		for (const _ of requests) await socket.next(({ type }) => type === "message.completed");
	});

	test("[P15] a binary frame closes the socket with 1003, one far over the limit cuts it", async () => {
		using binary = await openRawSocket(app.url, token);
		binary.sendBinary(new TextEncoder().encode('{"type":"ping"}'));
		expect(await binary.closed).toEqual({ code: 1003, reason: "expected text frames, got a binary one" });
		using huge = await openRawSocket(app.url, token);
		huge.send("x".repeat(300 * 1024));
		expect((await huge.closed).code).toBe(1006);
	});

	test("[P15] the client does not send a frame over the limit, says so, and goes on", async () => {
		const client = connect({ url: app.url, token });
		const submit = (input: string, filling: string) => client.submit({ input, metadata: { filling } });
		const tooLong = {
			code: "body_too_large",
			message: expect.stringMatching(/at most 131072 bytes, this one has \d+$/),
		};
		await expect(submit("hi", "x".repeat(300 * 1024)).reply).rejects.toMatchObject(tooLong);
		await expect(submit("hi", "€".repeat(50 * 1024)).reply).rejects.toMatchObject(tooLong);
		const types: string[] = [];
		for await (const { type } of submit("hi", "")) types.push(type);
		expect(types.at(-1)).toBe("message.completed");
		client.close();
	});
});

describe("HTTP", () => {
	test("a waiting POST, its stream and its events again are one and the same answer", async () => {
		await provider.script({ default: { tokens: 12, every_ms: 5 } });
		const waited = await post({ input: "tell" }, { "idempotency-key": "three ways" });
		const final = JSON.parse(waited.text);
		expect(waited).toMatchObject({ status: 200, headers: { "content-location": `/v1/requests/${final.request_id}` } });
		expect(final).toMatchObject({ status: "completed", output_text: expect.stringContaining("word12") });
		const streamed = await post({ input: "tell" }, { "idempotency-key": "three ways", accept: "text/event-stream" });
		expect(streamed.headers).toMatchObject({ "content-type": "text/event-stream", "idempotency-replayed": "true" });
		const frames = sseFrames(streamed.text);
		expect(faultsOf(frames.map(({ frame }) => frame) as Transcript)).toEqual([]);
		for (const { id, frame } of frames) expect(id).toBe(`${final.request_id}:${frame.seq}`);
		const again = await as(`/v1/requests/${final.request_id}/events`);
		expect(sseFrames(again.text)).toEqual(frames);
		expect(JSON.parse((await as(`/v1/requests/${final.request_id}`)).text)).toEqual(final);
		expect(await provider.bill({ settled: true })).toHaveLength(1);
	});

	test("[P29] every cursor, by query or header, gives the exact rest; the last one gives 204", async () => {
		await provider.script({ default: { tokens: 6, every_ms: 25 } });
		const { request_id } = endOf(await ask(app.url, token, { input: "cut me anywhere" }));
		const path = `/v1/requests/${request_id}/events`;
		const frames = sseFrames((await as(path)).text).map(({ frame }) => frame);
		const last = Number(frames.at(-1)?.seq);
		for (let after = 0; after < last; after++) {
			const rest = frames.filter(({ seq }) => Number(seq) > after);
			const byQuery = await as(`${path}?after=${after}`);
			expect(sseFrames(byQuery.text).map(({ frame }) => frame)).toEqual(rest);
			const byHeader = await as(`${path}?after=0`, { headers: { "last-event-id": `${request_id}:${after}` } });
			expect(sseFrames(byHeader.text).map(({ frame }) => frame)).toEqual(rest);
		}
		expect(await as(`${path}?after=${last}`)).toMatchObject({ status: 204, text: "" });
	});

	test("Prefer: respond-async answers at once with where the result will be", async () => {
		await provider.script({ default: { tokens: 10, every_ms: 20 } });
		const answer = await post({ input: "later" }, { prefer: "respond-async" });
		const { request_id, session_id, status } = JSON.parse(answer.text);
		expect(answer).toMatchObject({ status: 202, headers: { location: `/v1/requests/${request_id}` } });
		expect({ session_id, status }).toEqual({ session_id: `s_${request_id.slice(2)}`, status: "running" });
		const path = String(answer.headers.location);
		const running = JSON.parse((await as(path)).text);
		expect(running).toMatchObject({ request_id, status: "running", usage: null, finish_reason: null, final_seq: null });
		await as(`${path}/events`);
		expect(JSON.parse((await as(path)).text)).toMatchObject({ request_id, session_id, status: "completed" });
	});
});

test("[P6] too many open requests are refused, a retry of a running one never, and room is given back", async () => {
	await provider.script({ default: { tokens: 300, every_ms: 30 } });
	const submit = (key: string) => post({ input: `open ${key}` }, { "idempotency-key": key, prefer: "respond-async" });
	const open = await Promise.all(["open-1", "open-2", "open-3"].map(submit));
	expect(open.map(({ status }) => status)).toEqual([202, 202, 202]);
	const refused = await submit("open-4");
	expect(refusal(refused)).toMatchInlineSnapshot(
		`"429 too_many_requests: the tenant has reached its limit of requests at the same time; try again in 1 s"`,
	);
	expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
	const retried = await submit("open-1");
	expect(retried).toMatchObject({ status: 202, headers: { "idempotency-replayed": "true" } });
	using socket = await openRawSocket(app.url, token);
	socket.send({ type: "submit", id: "1", input: "open too" });
	expect(JSON.parse(await socket.next())).toMatchObject({ type: "error", id: "1", code: "too_many_requests" });
	for (const { headers } of open) await as(`${headers.location}/cancel`, { method: "POST" });
	for (const { headers } of open) await as(`${headers.location}/events`);
	await provider.reset();
	await expect.poll(async () => (await submit("open-5")).status).toBe(202);
});

describe("a tenant with few requests per minute", () => {
	let small: App;
	let key: string;
	beforeAll(async () => {
		small = await startApp({
			OPENAI_BASE_URL: `${provider.url}/v1`,
			OPENAI_API_KEY: "test",
			THROUGHLINE_FEATURE: "chat",
			THROUGHLINE_REQUESTS_PER_MINUTE: "3",
		});
		key = await small.key("acme");
	});
	afterAll(() => small[Symbol.asyncDispose]());

	test("[P6] spends them, then is told when to come again, while retries and another tenant go on", async () => {
		await provider.script({ default: { tokens: 200, every_ms: 50 } });
		const other = await small.key("globex");
		const submit = (as: string, name: string) =>
			call(small.url, as, "/v1/requests", {
				body: { input: name },
				headers: { "idempotency-key": name, prefer: "respond-async" },
			});
		// A minute may begin in between, which gives three more: at most seven are tried then.
		const answers: RawAnswer[] = [];
		while (answers.length < 7 && answers.at(-1)?.status !== 429) answers.push(await submit(key, `n${answers.length}`));
		const refused = answers.at(-1);
		if (!refused) throw new Error("an answer is expected");
		expect(answers.length).toBeGreaterThanOrEqual(4);
		expect(refusal(refused).replace(/\d+ s$/, "N s")).toMatchInlineSnapshot(
			`"429 rate_limited: the tenant has reached its limit of requests per minute; try again in N s"`,
		);
		const seconds = Number(refused.headers["retry-after"]);
		expect(seconds).toBeGreaterThanOrEqual(1);
		expect(seconds).toBeLessThanOrEqual(60);
		expect(await submit(key, "n0")).toMatchObject({ status: 202, headers: { "idempotency-replayed": "true" } });
		expect((await submit(other, "n0")).status).toBe(202);
	});
});

test("after all that the server is well, and no process had to be started again", async () => {
	expect(await call(app.url, undefined, "/healthz")).toMatchObject({ status: 200, text: '{"status":"ok"}' });
	expect(await call(app.url, undefined, "/readyz")).toMatchObject({ status: 200 });
	expect(await pidsNow()).toEqual(pids);
	expect(app.log()).not.toMatch(/a process died|a call failed|a command failed|handler failed/);
	const events = await ask(app.url, token, { input: "still there?" });
	expect(faultsOf(events)).toEqual([]);
});
