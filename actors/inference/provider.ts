import type { ChatMessage, Tokens, ToolCall, ToolOffer } from "../../schemas/events/inference.ts";

export type ProviderCall = {
	model: string;
	messages: readonly ChatMessage[];
	tools: readonly ToolOffer[];
	max_output_tokens: number;
	/** Who calls, sent along so that a provider's bill can be laid beside the log. */
	origin?: { request: string; attempt: number };
};

/** `end` comes exactly once, last, and only when the provider itself said that the answer is over. `tokens` is absent when it gave no usage. */
export type ProviderPiece =
	| { type: "text"; text: string }
	| {
			type: "end";
			finish_reason: "stop" | "length" | "tool_calls" | "content_filter";
			tool_calls: ToolCall[];
			tokens?: Tokens;
	  };

/**
 * Milliseconds each phase may take (I3): until the connection stands (over it: `unreachable`), from then until the headers and
 * until the first content (`timeout`), and between contents (`stalled`). Time in which the reader does not read is not counted.
 */
export type CallLimits = {
	connect_ms: number;
	headers_ms: number;
	first_content_ms: number;
	between_contents_ms: number;
};

/**
 * A model behind a network or in this process. A stream that ends without `end` never ends quietly:
 * it throws `ProviderError` (cut, stalled, malformed, empty …). Aborting the signal closes the call upstream.
 */
export type Provider = {
	stream(call: ProviderCall, limits: CallLimits, signal: AbortSignal): AsyncGenerator<ProviderPiece>;
};

/** What went wrong with a call; the kind decides whether the same provider is tried again, the next in the chain, or nobody (I2). */
export type ProviderErrorKind =
	| "unreachable"
	| "rate_limited"
	| "overloaded"
	| "server_error"
	| "timeout"
	| "cut"
	| "stalled"
	| "malformed"
	| "empty"
	| "context_length"
	| "invalid_request"
	| "unauthorized"
	| "content_filter"
	| "aborted";

export class ProviderError extends Error {
	readonly kind: ProviderErrorKind;
	/** What the provider asked us to wait, in milliseconds, when it did. */
	readonly retryAfterMs: number | undefined;
	/** What the failed call was billed, when the provider still said so (I5). */
	readonly tokens: Tokens | undefined;

	constructor(kind: ProviderErrorKind, message: string, retryAfterMs?: number, tokens?: Tokens) {
		super(message);
		this.kind = kind;
		this.retryAfterMs = retryAfterMs;
		this.tokens = tokens;
	}
}
