import { z } from "zod";
import { event } from "../event.ts";
import { open, personal } from "../privacy.ts";
import { finishReasons } from "./inference.ts";

export const messageStarted = event(
	"message.started",
	z.strictObject({ message_id: open(z.string()), model_hint: open(z.string()), resumable: open(z.boolean()) }),
	(data) => data,
);

export const outputTextDelta = event(
	"output_text.delta",
	z.strictObject({ text: personal(z.string()) }),
	(data) => data,
);

export const outputTextDone = event(
	"output_text.done",
	/** `text` is what the deltas add up to, for whoever stores the turn. */
	z.strictObject({ text: personal(z.string()), text_sha256: open(z.string()) }),
	({ text_sha256 }) => ({ text_sha256 }),
);

/** Drop every delta from `from_seq` on. */
export const outputTextRetracted = event(
	"output_text.retracted",
	z.strictObject({ from_seq: open(z.int().positive()), reason: open(z.string()) }),
	(data) => data,
);

export const citationAdded = event(
	"citation.added",
	z.strictObject({
		n: open(z.int()),
		document_id: open(z.string()),
		chunk_id: open(z.string()),
		title: personal(z.string()),
		/** The sentence of the answer that carries the mark. */
		quote: personal(z.string()),
		/** The words of the sentence stand in the passage that it names. */
		verified: open(z.boolean()),
	}),
	(data) => data,
);

const check = z.strictObject({ validator: z.string(), passed: z.boolean(), detail: z.string() });
export type Check = z.infer<typeof check>;

export const validationCompleted = event(
	"validation.completed",
	z.strictObject({
		checks: open(z.array(check)),
		verdict: open(z.enum(["pass", "block"])),
		release_mode: open(z.enum(["stream"])),
	}),
);

const usageAttempt = z.strictObject({
	attempt: z.int().positive(),
	provider: z.string(),
	model: z.string(),
	outcome: z.string(),
	input_tokens: z.int(),
	output_tokens: z.int(),
	cached_tokens: z.int(),
	reasoning_tokens: z.int(),
	cost_micros: z.int(),
	estimated: z.boolean(),
});
export type UsageAttempt = z.infer<typeof usageAttempt>;

/** Final accounting; `input_tokens` and `output_tokens` contain the cached and the reasoning ones, as providers report them. */
export const usageCompleted = event(
	"usage.completed",
	z.strictObject({
		input_tokens: open(z.int().nonnegative()),
		output_tokens: open(z.int().nonnegative()),
		cached_tokens: open(z.int().nonnegative()),
		reasoning_tokens: open(z.int().nonnegative()),
		/** Millionths of `currency`. */
		cost_micros: open(z.int().nonnegative()),
		currency: open(z.literal("USD")),
		attempts: open(z.array(usageAttempt)),
		/** The answer is not whole: its end was not the model's own. */
		partial: open(z.boolean()),
		/** At least one attempt was counted by us. */
		estimated: open(z.boolean()),
	}),
	(data) => data,
);
export type Usage = z.infer<typeof usageCompleted.data>;

/** What telemetry keeps of a request besides usage and end; written with them, so that nobody has to read the log again. */
export const traceRecorded = event(
	"trace.recorded",
	z.strictObject({
		feature: open(z.string()),
		config_sha: open(z.string()),
		route: open(z.string()).nullable(),
		prompt_version: open(z.string()).nullable(),
		retrieval: open(
			z.strictObject({ documents: z.array(z.string()), rerank_scores: z.array(z.number()), took_ms: z.number() }),
		).nullable(),
		tools: open(z.array(z.strictObject({ name: z.string(), status: z.string(), took_ms: z.number() }))),
		degradations: open(z.array(z.string())),
		/** Milliseconds since the epoch: admission, first and last text of a model. */
		accepted_at: open(z.int()),
		first_text_at: open(z.int()).nullable(),
		last_text_at: open(z.int()).nullable(),
	}),
);
export type Trace = z.infer<typeof traceRecorded.data>;

export const statuses = ["completed", "incomplete", "refused", "cancelled", "failed", "escalated"] as const;
export type Status = (typeof statuses)[number];

export const messageCompleted = event(
	"message.completed",
	z.strictObject({
		status: open(z.enum(statuses)),
		finish_reason: open(z.enum([...finishReasons, "refused", "cancelled", "deadline", "error", "degraded"])),
		/** Null only on an end that could not wait for the text (a lost or late attempt). */
		text_sha256: open(z.string()).nullable(),
		final_seq: open(z.int().positive()),
	}),
	(data) => data,
);
