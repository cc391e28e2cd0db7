import { z } from "zod";
import { event } from "../event.ts";
import { open, personal } from "../privacy.ts";

/** Token classes are disjoint: their sum is what was processed (I5). */
export const tokens = z.strictObject({
	uncached_input: z.int().nonnegative(),
	cache_read: z.int().nonnegative(),
	cache_write: z.int().nonnegative(),
	output: z.int().nonnegative(),
	reasoning: z.int().nonnegative(),
});
export type Tokens = z.infer<typeof tokens>;

const toolCall = z.strictObject({ id: open(z.string()), name: open(z.string()), arguments: personal(z.string()) });
export type ToolCall = z.infer<typeof toolCall>;

const chatMessage = z.discriminatedUnion("role", [
	z.strictObject({ role: open(z.literal("system")), content: personal(z.string()) }),
	z.strictObject({ role: open(z.literal("user")), content: personal(z.string()) }),
	z.strictObject({
		role: open(z.literal("assistant")),
		content: personal(z.string()),
		tool_calls: z.array(toolCall).optional(),
	}),
	z.strictObject({ role: open(z.literal("tool")), tool_call_id: open(z.string()), content: personal(z.string()) }),
]);
export type ChatMessage = z.infer<typeof chatMessage>;

/** A tool as the model sees it; `parameters` is JSON Schema. */
const toolOffer = z.strictObject({
	name: z.string(),
	description: z.string(),
	parameters: z.record(z.string(), z.unknown()),
});
export type ToolOffer = z.infer<typeof toolOffer>;

/** One link of a chain: where the call goes and what it costs there, in micro-dollars per token. */
export const chainLink = z.strictObject({
	provider: z.string(),
	model: z.string(),
	price: z.strictObject({
		input: z.number().nonnegative(),
		cache_read: z.number().nonnegative(),
		cache_write: z.number().nonnegative(),
		output: z.number().nonnegative(),
	}),
});
export type ChainLink = z.infer<typeof chainLink>;

export const inferenceRequested = event(
	"inference.requested",
	z.strictObject({
		prompt: z.array(chatMessage),
		prompt_version: open(z.string()),
		/** Hash of the assembled prompt. */
		sha256: open(z.string()),
		tools: open(z.array(toolOffer)),
		chain: open(z.array(chainLink).min(1)),
		/** Attempts over retries and fallbacks together, and the time that they share (I2). */
		budget: open(
			z.strictObject({ attempts: z.int().positive(), deadline_at: z.int(), max_output_tokens: z.int().positive() }),
		),
		/** Tokens per part of the context, as counted. */
		context: open(z.record(z.string(), z.int())),
		/** What did not fit, per part. */
		dropped: open(z.record(z.string(), z.int())),
		prompt_tokens: open(z.int().nonnegative()),
		/** Words for the client when the chain has to fall back. */
		fallback_notice: open(z.string()),
	}),
);

export const attemptStarted = event(
	"inference.attempt_started",
	z.strictObject({ attempt: open(z.int().positive()), provider: open(z.string()), model: open(z.string()) }),
);

export const attemptOutcomes = ["completed", "failed", "cancelled", "lost"] as const;

/** What an attempt came to; the ledger's row. */
const attemptSummary = {
	attempt: open(z.int().positive()),
	provider: open(z.string()),
	model: open(z.string()),
	outcome: open(z.enum(attemptOutcomes)),
	tokens: open(tokens),
	cost_micros: open(z.int().nonnegative()),
	/** Counted by us because the provider gave no usage. */
	estimated: open(z.boolean()),
};
const attemptRow = z.strictObject(attemptSummary);
export type AttemptRow = z.infer<typeof attemptRow>;

export const finishReasons = ["stop", "length", "tool_calls", "content_filter"] as const;

export const attemptEnded = event(
	"inference.attempt_ended",
	z.strictObject({
		...attemptSummary,
		/** The text that stands in the log after this attempt. */
		text: personal(z.string()),
		finish_reason: open(z.enum(finishReasons)).nullable(),
		tool_calls: z.array(toolCall),
		error: z.strictObject({ kind: open(z.string()), message: open(z.string()) }).nullable(),
		retry_after_ms: open(z.int()).nullable(),
		/** When the provider's first text came, in milliseconds since the epoch. */
		first_text_at: open(z.int()).nullable(),
		/** On the final one: every attempt of its cause. */
		attempts: z.array(attemptRow).optional(),
	}),
);
