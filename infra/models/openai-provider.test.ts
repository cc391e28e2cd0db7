import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { Agent } from "undici";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
	type CallLimits,
	type ProviderCall,
	ProviderError,
	type ProviderErrorKind,
	type ProviderPiece,
} from "../../actors/inference/provider.ts";
import { type Plan, type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { openaiProvider } from "./openai-provider.ts";
import { modelConnections } from "./undici-fetch.ts";

type Fault = NonNullable<NonNullable<Plan["default"]>["fault"]>;
type End = Extract<ProviderPiece, { type: "end" }>;
type Outcome = { text: string; end: End | undefined; error: ProviderError | undefined };

let scripted: ScriptedProvider;
const connections = modelConnections();
beforeAll(async () => {
	scripted = await startScriptedProvider();
});
beforeEach(() => scripted.reset());
afterAll(async () => {
	await connections.destroy();
	await scripted.stop();
});

const patient: CallLimits = {
	connect_ms: 5_000,
	headers_ms: 5_000,
	first_content_ms: 5_000,
	between_contents_ms: 5_000,
};
const providerAt = (url: string) =>
	openaiProvider({ baseUrl: `${url}/v1`, apiKey: "key", name: "scripted", connections });

function calling(question: string): ProviderCall {
	return { model: "m", messages: [{ role: "user", content: question }], tools: [], max_output_tokens: 100 };
}

/** Reads a whole call; an error that is no ProviderError fails the test. */
async function outcomeOf(stream: AsyncGenerator<ProviderPiece>): Promise<Outcome> {
	const outcome: Outcome = { text: "", end: undefined, error: undefined };
	try {
		for await (const piece of stream) {
			expect(outcome.end).toBeUndefined();
			if (piece.type === "text") outcome.text += piece.text;
			else outcome.end = piece;
		}
	} catch (error) {
		if (!(error instanceof ProviderError)) throw error;
		outcome.error = error;
	}
	return outcome;
}

function ask(
	question: string,
	limits: Partial<CallLimits> = {},
	signal = new AbortController().signal,
): Promise<Outcome> {
	return outcomeOf(providerAt(scripted.url).stream(calling(question), { ...patient, ...limits }, signal));
}

test("a streamed answer ends once, with its reason and its tokens", async () => {
	expect(await ask("how do refunds work")).toEqual({
		text: "You asked: how do refunds work.",
		end: {
			type: "end",
			finish_reason: "stop",
			tool_calls: [],
			tokens: { uncached_input: 4, cache_read: 0, cache_write: 0, output: 6, reasoning: 0 },
		},
		error: undefined,
	});
});

test("[I5] tokens fall into disjoint classes that add up to the bill", async () => {
	await scripted.script({ default: { text: "a b c", cached_tokens: 3, reasoning_tokens: 7 } });
	const { end } = await ask("one two three four five");
	expect(end?.tokens).toEqual({ uncached_input: 2, cache_read: 3, cache_write: 0, output: 3, reasoning: 7 });
	expect(await scripted.bill({ settled: true })).toMatchObject([
		{ prompt_tokens: 5, cached_tokens: 3, output_tokens_sent: 3, reasoning_tokens: 7, ended: "complete" },
	]);
});

test("[I5] usage in the chunk of the finish reason counts, and a provider without usage leaves it open", async () => {
	await scripted.script({
		queue: [
			{ text: "a b", usage: "inline" },
			{ text: "a b", usage: "none" },
		],
	});
	expect((await ask("x")).end?.tokens).toMatchObject({ uncached_input: 1, output: 2 });
	const { text, end } = await ask("x");
	expect(text).toBe("a b");
	expect(end).toEqual({ type: "end", finish_reason: "stop", tool_calls: [] });
});

test("an answer without [DONE] is complete by its finish reason", async () => {
	await scripted.script({ default: { text: "a b", done: false } });
	expect(await ask("x")).toMatchObject({ text: "a b", end: { finish_reason: "stop", tokens: { output: 2 } } });
});

test("the output limit is sent, and an answer that it cuts ends by length", async () => {
	await scripted.script({ default: { tokens: 50 } });
	const call = { ...calling("x"), max_output_tokens: 3 };
	const outcome = await outcomeOf(providerAt(scripted.url).stream(call, patient, new AbortController().signal));
	expect(outcome).toMatchObject({ text: "x word2 word3 ", end: { finish_reason: "length", tokens: { output: 3 } } });
});

test("tool calls are put together from their deltas", async () => {
	const tool_calls = [
		{ id: "call_a", name: "find_order", arguments: '{"order":"o_1"}' },
		{ id: "call_b", name: "now", arguments: "{}" },
	];
	await scripted.script({ default: { tool_calls } });
	expect((await ask("x")).end).toMatchObject({ finish_reason: "tool_calls", tool_calls });
});

test("the provider learns who called", async () => {
	const call = { ...calling("x"), origin: { request: "r_abc", attempt: 2 } };
	await outcomeOf(providerAt(scripted.url).stream(call, patient, new AbortController().signal));
	expect(await scripted.bill()).toMatchObject([{ request: "r_abc", attempt: "2" }]);
});

test("calls one after the other take turns on two connections at most", async () => {
	const own = new Agent();
	let opened = 0;
	own.on("connect", () => {
		opened += 1;
	});
	const provider = openaiProvider({ baseUrl: `${scripted.url}/v1`, apiKey: "key", name: "scripted", connections: own });
	for (let n = 0; n < 8; n++) {
		const { end } = await outcomeOf(provider.stream(calling("x"), patient, new AbortController().signal));
		expect(end).toBeDefined();
	}
	expect(opened).toBeGreaterThan(0);
	expect(opened).toBeLessThanOrEqual(2);
	await own.close();
});

const refusals: [Fault, ProviderErrorKind, number | undefined][] = [
	[{ kind: "status", status: 500 }, "server_error", undefined],
	[{ kind: "status", status: 502 }, "server_error", undefined],
	[{ kind: "status", status: 503, retry_after: "2" }, "overloaded", 2_000],
	[{ kind: "status", status: 529 }, "overloaded", undefined],
	[{ kind: "status", status: 429, retry_after: "1.5" }, "rate_limited", 1_500],
	[{ kind: "status", status: 429, retry_after: "9", retry_after_ms: 250 }, "rate_limited", 250],
	[{ kind: "status", status: 429, retry_after: "Wed, 21 Oct 2015 07:28:00 GMT" }, "rate_limited", 0],
	[{ kind: "status", status: 401 }, "unauthorized", undefined],
	[{ kind: "status", status: 403 }, "unauthorized", undefined],
	[{ kind: "status", status: 400 }, "invalid_request", undefined],
	[{ kind: "status", status: 404 }, "invalid_request", undefined],
	[{ kind: "status", status: 400, code: "context_length_exceeded" }, "context_length", undefined],
	[{ kind: "status", status: 400, code: "content_filter" }, "content_filter", undefined],
];

test.each(refusals)("[I2] a refusal %o is %s", async (fault, kind, retryAfterMs) => {
	await scripted.script({ default: { fault } });
	expect(await ask("x")).toMatchObject({ text: "", end: undefined, error: { kind, retryAfterMs } });
	expect(await scripted.bill()).toHaveLength(1);
});

const breaks: [Fault, ProviderErrorKind, string][] = [
	[{ kind: "cut", at: 0 }, "cut", ""],
	[{ kind: "cut", at: 2 }, "cut", "a b "],
	[{ kind: "cut", at: 9 }, "cut", "a b c d"],
	[{ kind: "short", at: 0 }, "empty", ""],
	[{ kind: "short", at: 2 }, "cut", "a b "],
	[{ kind: "short", at: 9 }, "cut", "a b c d"],
	[{ kind: "malformed", at: 0 }, "malformed", ""],
	[{ kind: "malformed", at: 2 }, "malformed", "a b "],
	[{ kind: "error_chunk", at: 0 }, "server_error", ""],
	[{ kind: "error_chunk", at: 2, code: "rate_limit_exceeded" }, "rate_limited", "a b "],
	[{ kind: "empty" }, "empty", ""],
];

test("[I5] a refusal is measured as nothing, but for those behind which a model may have worked", async () => {
	const zero = { uncached_input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 };
	const tokensOf = async (fault: Fault) => {
		await scripted.script({ default: { fault } });
		return (await ask("x")).error?.tokens;
	};
	for (const status of [400, 401, 429, 500, 503]) expect(await tokensOf({ kind: "status", status })).toEqual(zero);
	expect(await tokensOf({ kind: "status", status: 504 })).toBeUndefined();
	expect(await tokensOf({ kind: "status", status: 400, code: "content_filter" })).toBeUndefined();
	expect(await tokensOf({ kind: "cut", at: 0 })).toBeUndefined();
});

test.each(breaks)("[I4] a stream with %o never looks complete: %s", async (fault, kind, text) => {
	await scripted.script({ default: { text: "a b c d", fault } });
	expect(await ask("x")).toMatchObject({ text, end: undefined, error: { kind } });
});

test("[I4] a finish without text and tool calls is an empty answer, billed as it says", async () => {
	await scripted.script({ default: { text: "" } });
	expect((await ask("x y")).error).toMatchObject({ kind: "empty", tokens: { uncached_input: 2, output: 0 } });
});

const silences: [Fault, Partial<CallLimits>, ProviderErrorKind, string][] = [
	[{ kind: "silent" }, { headers_ms: 60 }, "timeout", ""],
	[{ kind: "headers_only" }, { first_content_ms: 60 }, "timeout", ""],
	[{ kind: "stall", at: 0 }, { first_content_ms: 60 }, "timeout", ""],
	[{ kind: "stall", at: 0, keep_alive_ms: 10 }, { first_content_ms: 60 }, "timeout", ""],
	[{ kind: "stall", at: 2 }, { between_contents_ms: 60 }, "stalled", "a b "],
	[{ kind: "stall", at: 2, keep_alive_ms: 10 }, { between_contents_ms: 60 }, "stalled", "a b "],
];

test.each(silences)("[I3] %o runs into %o and the call is closed upstream: %s", async (fault, limits, kind, text) => {
	await scripted.script({ default: { text: "a b c d", fault } });
	expect(await ask("x", limits)).toMatchObject({ text, end: undefined, error: { kind } });
	expect(await scripted.bill({ settled: true })).toMatchObject([{ ended: "client_gone" }]);
});

test("[I3] a connection that never stands runs into its own limit", async () => {
	const nowhere = new Agent({ connect: () => {} });
	const provider = openaiProvider({
		baseUrl: "http://127.0.0.1:9/v1",
		apiKey: "key",
		name: "nowhere",
		connections: nowhere,
	});
	const limits = { ...patient, connect_ms: 30 };
	const { error } = await outcomeOf(provider.stream(calling("x"), limits, new AbortController().signal));
	expect(error).toMatchObject({ kind: "unreachable", message: "nowhere: expected connection within 30 ms, got none" });
});

test("[I3] a reader that takes its time is not the provider's stall", async () => {
	await scripted.script({ default: { text: "a b c" } });
	const limits = { ...patient, between_contents_ms: 30 };
	let text = "";
	for await (const piece of providerAt(scripted.url).stream(calling("x"), limits, new AbortController().signal)) {
		if (piece.type === "text") text += piece.text;
		await delay(60);
	}
	expect(text).toBe("a b c");
});

test("[I4] a port where nobody listens is unreachable", async () => {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	server.close();
	await once(server, "close");
	const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
	const { error } = await outcomeOf(providerAt(url).stream(calling("x"), patient, new AbortController().signal));
	expect(error?.kind).toBe("unreachable");
	expect(error?.message).toContain("ECONNREFUSED");
	expect(error?.tokens).toMatchObject({ uncached_input: 0, output: 0 });
});

test("[I4] a provider that is killed in the middle of an answer cuts it", async () => {
	await using mortal = await startScriptedProvider();
	await mortal.script({ default: { tokens: 1_000, every_ms: 20 } });
	const stream = providerAt(mortal.url).stream(calling("x"), patient, new AbortController().signal);
	expect(await stream.next()).toMatchObject({ value: { type: "text" } });
	await mortal.kill9();
	expect((await outcomeOf(stream)).error?.kind).toBe("cut");
});

test("[I4] aborting closes the call upstream, before the headers and in the middle of the text", async () => {
	await scripted.script({ queue: [{ fault: { kind: "silent" } }, { tokens: 10_000, every_ms: 20 }] });
	const before = new AbortController();
	const silent = ask("x", {}, before.signal);
	await scripted.bill({ calls: 1 });
	before.abort();
	expect((await silent).error?.kind).toBe("aborted");

	const during = new AbortController();
	const stream = providerAt(scripted.url).stream(calling("x"), patient, during.signal);
	expect(await stream.next()).toMatchObject({ value: { type: "text" } });
	during.abort();
	expect((await outcomeOf(stream)).error?.kind).toBe("aborted");
	expect(await scripted.bill({ settled: true })).toMatchObject([{ ended: "client_gone" }, { ended: "client_gone" }]);
});

test("[I4] a reader that leaves closes the call upstream", async () => {
	await scripted.script({ default: { tokens: 10_000, every_ms: 20 } });
	for await (const piece of providerAt(scripted.url).stream(calling("x"), patient, new AbortController().signal)) {
		expect(piece.type).toBe("text");
		break;
	}
	expect(await scripted.bill({ settled: true })).toMatchObject([{ ended: "client_gone" }]);
});

test("an aborted signal starts no call", async () => {
	expect((await ask("x", {}, AbortSignal.abort())).error?.kind).toBe("aborted");
	expect(await scripted.bill()).toEqual([]);
});

/** A provider that answers every call with these events and then ends, hangs or breaks off. */
async function oddProvider(
	events: unknown[],
	after: "end" | "hang" | "break",
): Promise<AsyncDisposable & { url: string }> {
	const server = createServer((_, response) => {
		response.writeHead(200, { "content-type": "text/event-stream" });
		const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
		if (after === "end") response.end(body);
		else response.write(body, () => after === "break" && response.destroy());
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	return {
		url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
		[Symbol.asyncDispose]: async () => {
			server.closeAllConnections();
			server.close();
			await once(server, "close");
		},
	};
}
const text = (content: string, finish_reason: string | null = null) => ({
	choices: [{ index: 0, delta: { content }, finish_reason }],
});

test.each(["hang", "break"] as const)("after the finish reason a %s only costs the usage", async (after) => {
	await using odd = await oddProvider([text("a"), text(" b", "stop")], after);
	const limits = { ...patient, between_contents_ms: 60 };
	const outcome = await outcomeOf(providerAt(odd.url).stream(calling("x"), limits, new AbortController().signal));
	expect(outcome).toEqual({
		text: "a b",
		end: { type: "end", finish_reason: "stop", tool_calls: [] },
		error: undefined,
	});
});

test("[I4] JSON that is no chunk is malformed, and what was billed until then is kept", async () => {
	const usage = { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 };
	await using odd = await oddProvider([{ ...text("a"), usage }, { hello: 1 }, text("b", "stop")], "end");
	const { error } = await outcomeOf(providerAt(odd.url).stream(calling("x"), patient, new AbortController().signal));
	expect(error).toMatchObject({ kind: "malformed", tokens: { uncached_input: 5, output: 1 } });
});

test("[I3] reasoning is progress, and a refusal is text", async () => {
	const reasoning = { choices: [{ index: 0, delta: { reasoning_content: "hm" }, finish_reason: null }] };
	const refusal = { choices: [{ index: 0, delta: { refusal: "I cannot." }, finish_reason: "stop" }] };
	await using odd = await oddProvider([reasoning, refusal], "end");
	const outcome = await outcomeOf(providerAt(odd.url).stream(calling("x"), patient, new AbortController().signal));
	expect(outcome).toMatchObject({ text: "I cannot.", end: { finish_reason: "stop" } });
});
