import OpenAI from "openai";
import type { Dispatcher } from "undici";
import {
	type CallLimits,
	type Provider,
	type ProviderCall,
	ProviderError,
	type ProviderErrorKind,
	type ProviderPiece,
} from "../../actors/inference/provider.ts";
import type { Tokens, ToolCall } from "../../schemas/events/inference.ts";
import { type OutputLimitField, toolCallAssembly, toParams, toTokens } from "./chat-completions.ts";
import { type Chunk, chunksOf } from "./chunk-stream.ts";
import { type Phase, phaseTimer } from "./phase-timer.ts";
import { providerFailure } from "./provider-failure.ts";
import { type FetchControl, undiciFetch } from "./undici-fetch.ts";

type Delta = Chunk["choices"][0]["delta"];
type FinishReason = Extract<ProviderPiece, { type: "end" }>["finish_reason"];

export type OpenaiProviderOptions = {
	/** Including the version, as in `https://api.openai.com/v1`. */
	baseUrl: string;
	apiKey: string;
	/** What error messages call it. */
	name: string;
	connections: Dispatcher;
	/** Default: `max_completion_tokens` at OpenAI itself, `max_tokens` elsewhere. */
	limitField?: OutputLimitField;
};

/** Longest delay of a Node timer: the package's own time-out must never come before ours. */
const never = 2_147_483_647;

const expiry: Record<Phase, { kind: "unreachable" | "timeout" | "stalled"; missing: string }> = {
	connect: { kind: "unreachable", missing: "connection" },
	headers: { kind: "timeout", missing: "response headers" },
	first_content: { kind: "timeout", missing: "first content" },
	between_contents: { kind: "stalled", missing: "further content" },
};

function toFinishReason(value: string, toolCalls: number): FinishReason {
	if (value === "length" || value === "content_filter") return value;
	// Some servers say `stop` although the model called tools.
	return toolCalls > 0 ? "tool_calls" : "stop";
}

/** Reasoning is shown to nobody, but it is progress; the name of the field differs between servers. */
function isReasoning(delta: Delta): boolean {
	const { reasoning, reasoning_content }: Delta & { reasoning?: unknown; reasoning_content?: unknown } = delta;
	return Boolean(reasoning || reasoning_content);
}

function defaultLimitField(baseUrl: string): OutputLimitField {
	return /(^|\.)openai\.(com|azure\.com)$/.test(new URL(baseUrl).hostname) ? "max_completion_tokens" : "max_tokens";
}

type Upstream = { client: OpenAI; name: string; limitField: OutputLimitField };

async function* streamCall(
	{ client, name, limitField }: Upstream,
	call: ProviderCall,
	limits: CallLimits,
	signal: AbortSignal,
): AsyncGenerator<ProviderPiece> {
	const upstream = new AbortController();
	const assembly = toolCallAssembly();
	let connected = false;
	let over = false;
	let finished: string | undefined;
	let tokens: Tokens | undefined;
	let hasText = false;

	const timer = phaseTimer(limits, (phase, limit) => {
		const { kind, missing } = expiry[phase];
		upstream.abort(new ProviderError(kind, `${name}: expected ${missing} within ${limit} ms, got none`));
	});
	const onAbort = () => upstream.abort(new ProviderError("aborted", `${name}: the call was aborted`));
	const control: FetchControl = {
		signal: upstream.signal,
		onConnected: () => {
			connected = true;
			timer.enter("headers");
		},
	};
	signal.addEventListener("abort", onAbort);
	if (signal.aborted) onAbort();

	try {
		timer.enter("connect");
		const response = await client.chat.completions
			.create(toParams(call, limitField), {
				fetchOptions: { client: control },
				...(call.origin === undefined ? {} : { headers: originHeaders(call.origin) }),
			})
			.asResponse();
		timer.enter("first_content");
		for await (const chunk of chunksOf(name, response)) {
			tokens = toTokens(chunk.usage) ?? tokens;
			const choice = chunk.choices?.[0];
			if (choice === undefined) continue;
			// The last chunk of some servers has no delta at all.
			const delta: Delta = choice.delta ?? {};
			const text = delta.content || delta.refusal || "";
			if (delta.tool_calls) assembly.add(delta.tool_calls);
			if (text !== "" || delta.tool_calls || choice.finish_reason || isReasoning(delta)) timer.progress();
			if (choice.finish_reason) finished = choice.finish_reason;
			if (text === "") continue;
			hasText = true;
			timer.pause();
			yield { type: "text", text };
			timer.progress();
		}
		over = true;
	} catch (error) {
		const failure = providerFailure(name, upstream.signal.aborted ? upstream.signal.reason : error, connected);
		// Once the provider has said that the answer is over, only its usage can still be missing.
		const complete = finished !== undefined && (failure.kind === "cut" || failure.kind === "stalled");
		if (!complete) throw tokens === undefined ? failure : withTokens(failure, tokens);
	} finally {
		timer.stop();
		signal.removeEventListener("abort", onAbort);
		if (!over) upstream.abort();
	}
	yield ending(name, finished, hasText, assembly.calls(), tokens);
}

function originHeaders({ request, attempt }: NonNullable<ProviderCall["origin"]>): Record<string, string> {
	return { "x-throughline-request": request, "x-throughline-attempt": String(attempt) };
}

function withTokens({ kind, message, retryAfterMs }: ProviderError, tokens: Tokens): ProviderError {
	return new ProviderError(kind, message, retryAfterMs, tokens);
}

/** The end of a stream that ended by itself: complete only if the provider gave a reason and something with it (I4). */
function ending(
	name: string,
	finished: string | undefined,
	hasText: boolean,
	tool_calls: ToolCall[],
	tokens: Tokens | undefined,
): ProviderPiece {
	const fail = (kind: ProviderErrorKind, what: string) =>
		new ProviderError(kind, `${name}: ${what}`, undefined, tokens);
	const hasContent = hasText || tool_calls.length > 0;
	if (finished === undefined) {
		throw hasContent
			? fail("cut", "the stream ended without a finish reason")
			: fail("empty", "the stream ended without content and finish reason");
	}
	if (finished === "error") throw fail("server_error", "the provider finished with an error");
	const finish_reason = toFinishReason(finished, tool_calls.length);
	if (!hasContent && finish_reason === "stop") throw fail("empty", "the answer has neither text nor tool calls");
	return { type: "end", finish_reason, tool_calls, ...(tokens === undefined ? {} : { tokens }) };
}

/**
 * Any provider that speaks OpenAI chat completions, through the `openai` package: without its retries (I2 has one owner),
 * without its time-out (I3 has four), and with a fetch and a reader of its stream that cost less than half of its own.
 */
export function openaiProvider(options: OpenaiProviderOptions): Provider {
	const { baseUrl, apiKey, name, connections, limitField = defaultLimitField(baseUrl) } = options;
	const client = new OpenAI({
		baseURL: baseUrl,
		apiKey,
		organization: null,
		project: null,
		maxRetries: 0,
		timeout: never,
		logLevel: "off",
		fetch: undiciFetch(connections),
	});
	return { stream: (call, limits, signal) => streamCall({ client, name, limitField }, call, limits, signal) };
}
