import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type ScriptedProvider, startScriptedProvider } from "./scripted-provider.ts";

let provider: ScriptedProvider;
beforeAll(async () => {
	provider = await startScriptedProvider();
});
beforeEach(() => provider.reset());
afterAll(() => provider.stop());

type Reply = {
	status: number;
	text: string;
	finish: string | undefined;
	usage: { completion_tokens: number } | undefined;
};

async function chat(
	question: string,
	extra: Record<string, unknown> = {},
	system = "s",
	url = provider.url,
): Promise<Reply> {
	const messages = [
		{ role: "system", content: system },
		{ role: "user", content: question },
	];
	const response = await fetch(`${url}/v1/chat/completions`, {
		method: "POST",
		headers: { "x-throughline-request": "r_1" },
		body: JSON.stringify({ model: "m", messages, ...extra }),
	});
	const body:
		| { choices: { message: { content: string }; finish_reason: string }[]; usage: Reply["usage"] }
		| { error: object } = JSON.parse(await response.text());
	if ("error" in body) return { status: response.status, text: "", finish: undefined, usage: undefined };
	const choice = body.choices[0];
	return {
		status: response.status,
		text: choice?.message.content ?? "",
		finish: choice?.finish_reason,
		usage: body.usage,
	};
}

test("the answer follows from the question and cites evidence when there is some", async () => {
	expect((await chat("one two")).text).toBe("You asked: one two.");
	expect((await chat("one two", {}, "<evidence>\n[1] Title\ntext\n</evidence>")).text).toContain(
		"one two. The evidence says so [1].",
	);
	await provider.script({ default: { tokens: 4 } });
	expect(await chat("one two")).toMatchObject({ text: "one two word3 word4", usage: { completion_tokens: 4 } });
});

test("queue entries serve the calls that they fit, in order and so often as they say", async () => {
	await provider.script({
		default: { text: "default" },
		queue: [
			{ contains: "refund", text: "about refunds" },
			{ model: "other", text: "other model" },
			{ text: "twice", times: 2 },
		],
	});
	const said = [];
	for (const question of ["a", "refund?", "refund?", "b"]) said.push((await chat(question)).text);
	expect(said).toEqual(["twice", "about refunds", "twice", "default"]);
	expect((await chat("a", { model: "other" })).text).toBe("other model");
});

test("the bill has a row per call from its start", async () => {
	await provider.script({
		queue: [{ fault: { kind: "status", status: 429, retry_after: "1" } }, { tokens: 3, first_ms: 30 }],
	});
	expect((await chat("one")).status).toBe(429);
	const reply = chat("one two three");
	expect((await provider.bill({ calls: 2 }))[1]).toMatchObject({ ended: "open", prompt_tokens: 4 });
	await reply;
	expect(await provider.bill({ settled: true })).toMatchObject([
		{ id: 1, ended: "fault", prompt_tokens: 0, output_tokens_sent: 0, request: "r_1" },
		{ id: 2, ended: "complete", prompt_tokens: 4, output_tokens_sent: 3, request: "r_1" },
	]);
});

test("a stream comes at its pace, and what was sent until a cut is what the bill says", async () => {
	await provider.script({ default: { tokens: 50, first_ms: 5, every_ms: 2, fault: { kind: "cut", at: 10 } } });
	const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "x" }] });
	const response = await fetch(`${provider.url}/v1/chat/completions`, { method: "POST", body });
	await expect(response.text()).rejects.toThrow();
	expect(await provider.bill({ settled: true })).toMatchObject([{ ended: "fault", output_tokens_sent: 10 }]);
});

test("a plan with a fault in it is refused and says where", async () => {
	await expect(provider.script({ default: { fault: { kind: "status", status: 200 } } })).rejects.toThrow(/status/);
	expect((await chat("still here")).text).toBe("You asked: still here.");
});

test("a killed provider can be started again in its place", async () => {
	const first = await startScriptedProvider();
	await first.kill9();
	await expect(chat("x", {}, "s", first.url)).rejects.toThrow();
	await using second = await startScriptedProvider({ port: Number(new URL(first.url).port) });
	expect(second.url).toBe(first.url);
	expect((await chat("x", {}, "s", second.url)).text).toBe("You asked: x.");
});
