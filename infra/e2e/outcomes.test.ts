import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect } from "../../gateway/client.ts";
import type { AnyEvent } from "../../schemas/events/all.ts";
import { type App, startApp } from "../testing/app.ts";
import { type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { ask, endOf, faultsOf, type Transcript, textOf } from "../testing/transcript.ts";

let provider: ScriptedProvider;
let app: App;
let token: string;

beforeAll(async () => {
	provider = await startScriptedProvider();
	app = await startApp({
		OPENAI_BASE_URL: `${provider.url}/v1`,
		OPENAI_API_KEY: "test",
		THROUGHLINE_FEATURE: "chat",
		THROUGHLINE_OPEN_REQUESTS: "500",
	});
	token = await app.key("acme");
});
afterAll(async () => {
	await app[Symbol.asyncDispose]();
	await provider[Symbol.asyncDispose]();
});
afterEach(() => provider.reset());

const only = (events: Transcript, type: string) => events.filter((event) => event.type === type);
const usageOf = (events: Transcript) => only(events, "usage.completed")[0];
async function logged(events: Transcript): Promise<AnyEvent[]> {
	return (await app.entries("acme", endOf(events).request_id)).flatMap((entry) => entry.events);
}

test("a direct turn with a fast provider is at most seven appends, events without gaps", async () => {
	await provider.script({ default: { text: "Quick answer." } });
	const events = await ask(app.url, token, { input: "hello there" });
	expect(faultsOf(events)).toEqual([]);
	const entries = await app.entries("acme", endOf(events).request_id);
	expect(entries.length).toBeLessThanOrEqual(7);
	expect(entries.flatMap((entry) => entry.events.map(({ seq }) => seq))).toEqual(
		entries.flatMap((entry) => entry.events).map((_, at) => at + 1),
	);
	expect(new Set(entries.map(({ request, tenant, session }) => `${tenant}/${request}/${session}`)).size).toBe(1);
	expect(textOf(events)).toBe("Quick answer.");
});

test("usage is the provider's bill to the token, cost by the model's price", async () => {
	await provider.script({ default: { tokens: 20, cached_tokens: 4, reasoning_tokens: 6 } });
	const events = await ask(app.url, token, { input: "count me" });
	const [call] = await provider.bill({ settled: true });
	expect(usageOf(events)).toMatchObject({
		input_tokens: call?.prompt_tokens,
		cached_tokens: 4,
		reasoning_tokens: 6,
		output_tokens: (call?.output_tokens_sent ?? 0) + 6,
		estimated: false,
		partial: false,
	});
	const price = { input: 0.4, cache_read: 0.1, output: 1.6 };
	const expected =
		((call?.prompt_tokens ?? 0) - 4) * price.input +
		4 * price.cache_read +
		((call?.output_tokens_sent ?? 0) + 6) * price.output;
	expect(usageOf(events)?.cost_micros).toBe(Math.ceil(Number(expected.toFixed(6))));
});

test("[L4] fifty identical submits are one provider call and fifty equal transcripts", async () => {
	await provider.script({ default: { tokens: 12, every_ms: 10 } });
	const transcripts = await Promise.all(
		Array.from({ length: 50 }, () => ask(app.url, token, { input: "the same", idempotency_key: "same-key" })),
	);
	expect(await provider.bill({ settled: true })).toHaveLength(1);
	expect(new Set(transcripts.map((events) => JSON.stringify(events))).size).toBe(1);
	expect(faultsOf(transcripts[0] ?? [])).toEqual([]);
});

test("a session keeps its turns: the second prompt holds the first question and answer", async () => {
	await provider.script({ default: { text: "Your name is Ada." } });
	const first = await ask(app.url, token, { input: "My name is Ada." });
	const session_id = String(first[0]?.session_id);
	const second = await ask(app.url, token, { input: "What is my name?", session_id });
	const asked = (await logged(second)).find((event) => event.type === "inference.requested");
	expect(
		asked?.type === "inference.requested" && asked.data.prompt.map(({ role, content }) => [role, content]).slice(1),
	).toEqual([
		["user", "My name is Ada."],
		["assistant", "Your name is Ada."],
		["user", "What is my name?"],
	]);
});

test("a second turn while one is open is rejected as session_busy, and the session is free afterwards", async () => {
	await provider.script({ default: { tokens: 40, every_ms: 30 } });
	let rejected: Promise<Transcript> | undefined;
	const first = await ask(app.url, token, { input: "take your time" }, (event) => {
		if (event.type === "output_text.delta")
			rejected ??= ask(app.url, token, { input: "me too", session_id: String(firstSession(event.request_id)) });
	});
	const second = await rejected;
	expect(endOf(first).status).toBe("completed");
	expect(faultsOf(second ?? [])).toEqual([]);
	expect(endOf(second ?? [])).toMatchObject({ status: "failed", finish_reason: "error" });
	expect(only(second ?? [], "request.error")).toMatchObject([{ code: "session_busy", retryable: true }]);
	const third = await ask(app.url, token, { input: "now?", session_id: String(first[0]?.session_id) });
	expect(endOf(third).status).toBe("completed");
});
const firstSession = (request: string) => `s_${request.slice(2)}`;

test("[§8] a turn that is sent as soon as the last one's end is read is never refused, many sessions at once", async () => {
	await provider.script({ default: { text: "Next." } });
	const talks = Array.from({ length: 16 }, async () => {
		const first = await ask(app.url, token, { input: "one" });
		const session_id = String(first[0]?.session_id);
		const ends = [endOf(first).status];
		for (let turn = 2; turn <= 6; turn++)
			ends.push(endOf(await ask(app.url, token, { input: `turn ${turn}`, session_id })).status);
		return ends;
	});
	expect((await Promise.all(talks)).flat()).toEqual(Array(16 * 6).fill("completed"));
});

test("[I4] a cancel in the middle closes the upstream call and ends as cancelled, with usage and the text that stands", async () => {
	await provider.script({ default: { tokens: 200, every_ms: 25 } });
	let cancelled = false;
	const events = await ask(app.url, token, { input: "a long story" }, (event, cancel) => {
		if (event.type === "output_text.delta" && !cancelled) {
			cancelled = true;
			cancel();
		}
	});
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events)).toMatchObject({ status: "cancelled", finish_reason: "cancelled" });
	expect(textOf(events)).not.toBe("");
	expect(usageOf(events)).toMatchObject({ partial: true, attempts: [{ outcome: "cancelled" }] });
	const [call] = await provider.bill({ settled: true });
	expect(call?.ended).toBe("client_gone");
	expect(call?.output_tokens_sent).toBeLessThan(200);
});

test("[I4] a cancel while the provider is silent ends the request all the same", async () => {
	await provider.script({ default: { fault: { kind: "silent" } } });
	const events = await ask(app.url, token, { input: "say nothing" }, (event, cancel) => {
		// Not before the provider has the call: a cancel that comes first makes none.
		if (event.type === "state.entered") void provider.bill({ calls: 1 }).then(cancel);
	});
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events)).toMatchObject({ status: "cancelled" });
	expect(await provider.bill({ settled: true })).toMatchObject([{ ended: "client_gone" }]);
});

test("[L10] a deadline ends a request whose provider does not answer", async () => {
	await provider.script({ default: { fault: { kind: "silent" } } });
	const events = await ask(app.url, token, { input: "too slow", deadline_ms: 700 });
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events)).toMatchObject({ status: "failed", finish_reason: "deadline" });
	expect(only(events, "request.error")).toMatchObject([{ code: "deadline_exceeded" }]);
});

test("[I2] a 429 is tried again after the time that the provider asks for", async () => {
	await provider.script({
		default: { text: "Here now." },
		queue: [{ fault: { kind: "status", status: 429, retry_after_ms: 300 } }],
	});
	const events = await ask(app.url, token, { input: "try again" });
	expect(endOf(events).status).toBe("completed");
	expect(textOf(events)).toBe("Here now.");
	const bill = await provider.bill({ settled: true });
	expect((bill[1]?.at ?? 0) - (bill[0]?.at ?? 0)).toBeGreaterThanOrEqual(300);
	expect(usageOf(events)).toMatchObject({
		attempts: [
			{ outcome: "failed", model: "gpt-4.1-mini" },
			{ outcome: "completed", model: "gpt-4.1-mini" },
		],
	});
});

test("[§4] a stream that is cut after words were released is withdrawn and the next model answers, visibly", async () => {
	await provider.script({
		default: { text: "From the other model." },
		queue: [{ model: "gpt-4.1-mini", tokens: 30, every_ms: 5, fault: { kind: "cut", at: 10 } }],
	});
	const events = await ask(app.url, token, { input: "break off" });
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events).status).toBe("completed");
	expect(textOf(events)).toBe("From the other model.");
	expect(only(events, "output_text.retracted")).toHaveLength(1);
	expect(only(events, "degradation.applied")).toMatchObject([
		{ mode: "model", from: "openai/gpt-4.1-mini", to: "openai/gpt-4.1-nano" },
	]);
	expect(usageOf(events)).toMatchObject({
		attempts: [{ outcome: "failed" }, { outcome: "completed", model: "gpt-4.1-nano" }],
	});
});

for (const [name, fault] of Object.entries({
	"a malformed chunk": { kind: "malformed" as const, at: 3 },
	"an empty answer": { kind: "empty" as const },
	"an error in the stream": { kind: "error_chunk" as const, at: 3 },
	"an end without finish reason": { kind: "short" as const, at: 3 },
	"a 503": { kind: "status" as const, status: 503 },
})) {
	test(`[I4] ${name} never looks complete: another attempt answers`, async () => {
		await provider.script({ default: { text: "Whole." }, queue: [{ tokens: 10, fault }] });
		const events = await ask(app.url, token, { input: "be whole" });
		expect(faultsOf(events)).toEqual([]);
		expect(textOf(events)).toBe("Whole.");
		expect(endOf(events).status).toBe("completed");
	});
}

test("[I5] a provider that gives no usage is counted by a tokenizer and marked as estimated", async () => {
	await provider.script({ default: { text: "Nobody counted this.", usage: "none" } });
	const events = await ask(app.url, token, { input: "no bill" });
	expect(usageOf(events)).toMatchObject({ estimated: true, output_tokens: 4 });
	expect(Number(usageOf(events)?.input_tokens)).toBeGreaterThan(0);
});

test("when every model of the chain fails the request says so, as failed, and never pretends an answer", async () => {
	await provider.script({ default: { fault: { kind: "status", status: 401 } } });
	const events = await ask(app.url, token, { input: "anybody?" });
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events)).toMatchObject({ status: "failed", finish_reason: "error" });
	expect(only(events, "request.error")).toMatchObject([{ code: "provider_failed", retryable: true }]);
	expect(textOf(events)).toMatch(/^No model gave an answer/);
});

test("the tool loop runs on the task route: the model searches the documents, then answers", async () => {
	const post = await fetch(`${app.url}/v1/documents`, {
		method: "POST",
		headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
		body: JSON.stringify({
			name: "refunds.md",
			media_type: "text/markdown",
			text: "# Refunds\n\nA refund is paid within 14 days of the return of the goods.",
		}),
	});
	expect(await post.json()).toMatchObject({ status: "completed" });
	await provider.script({
		default: { text: "Refunds take 14 days [1]." },
		queue: [{ tool_calls: [{ name: "search_documents", arguments: '{"query":"how long does a refund take"}' }] }],
	});
	const events = await ask(app.url, token, { feature: "assistant", input: "Research how long a refund takes." });
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events).status).toBe("completed");
	expect(only(events, "tool.completed")).toMatchObject([{ name: "search_documents", status: "ok" }]);
	expect(only(events, "citation.added")).toMatchObject([
		{ n: 1, verified: true, document_id: expect.stringMatching(/^d_/) },
	]);
	const results = (await logged(events)).filter((event) => event.type === "tool.completed");
	expect(results.map((event) => event.data)).toMatchObject([{ result: expect.stringContaining("within 14 days") }]);
});

test("[§8] arguments that the tool's schema refuses never start it; the model is told and goes on", async () => {
	await provider.script({
		default: { text: "I could not search." },
		queue: [{ tool_calls: [{ name: "search_documents", arguments: '{"query":7}' }] }],
	});
	const events = await ask(app.url, token, { feature: "assistant", input: "Research the refund." });
	expect(only(events, "tool.started")).toEqual([]);
	expect(only(events, "tool.failed")).toMatchObject([{ status: "invalid_arguments" }]);
	expect(endOf(events).status).toBe("completed");
});

test("[G1] a client that leaves does not stop its request: the result is there for whoever asks", async () => {
	await provider.script({ default: { tokens: 30, every_ms: 20 } });
	const client = connect({ url: app.url, token });
	const stream = client.submit({ input: "go on without me" });
	const { request_id } = await stream.reply;
	client.close();
	await provider.bill({ settled: true, calls: 1 });
	const events: Transcript = [];
	const again = connect({ url: app.url, token });
	for await (const event of again.resume(String(request_id))) if ("seq" in event && "prev" in event) events.push(event);
	again.close();
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events).status).toBe("completed");
});

test("telemetry keeps one record per request, with nobody's words in it", async () => {
	await provider.script({ default: { text: "Confidential reply." } });
	const events = await ask(app.url, token, { input: "Confidential question 4711" });
	const record = await app.record("acme", endOf(events).request_id);
	expect(record).toMatchObject({
		tenant: "acme",
		feature: "chat",
		route: "direct",
		provider: "openai",
		model: "gpt-4.1-mini",
		status: "completed",
		lost_attempts: 0,
	});
	expect(JSON.stringify(record)).not.toContain("Confidential");
	expect(app.log()).not.toContain("Confidential");
});
