import type { AttemptRow } from "../../schemas/events/inference.ts";
import type { Usage, UsageAttempt } from "../../schemas/events/output.ts";

/**
 * Adds attempts up, numbered through over all model calls of the request. Totals contain the cached and the reasoning
 * tokens, as providers report them.
 */
export function usageOf(attempts: readonly AttemptRow[], partial: boolean): Usage {
	const rows = attempts.map(
		({ provider, model, outcome, tokens, cost_micros, estimated }, at): UsageAttempt => ({
			attempt: at + 1,
			provider,
			model,
			outcome,
			input_tokens: tokens.uncached_input + tokens.cache_read + tokens.cache_write,
			output_tokens: tokens.output + tokens.reasoning,
			cached_tokens: tokens.cache_read,
			reasoning_tokens: tokens.reasoning,
			cost_micros,
			estimated,
		}),
	);
	const sum = (field: "input_tokens" | "output_tokens" | "cached_tokens" | "reasoning_tokens" | "cost_micros") =>
		rows.reduce((total, row) => total + row[field], 0);
	return {
		input_tokens: sum("input_tokens"),
		output_tokens: sum("output_tokens"),
		cached_tokens: sum("cached_tokens"),
		reasoning_tokens: sum("reasoning_tokens"),
		cost_micros: sum("cost_micros"),
		currency: "USD",
		attempts: rows,
		partial,
		estimated: rows.some(({ estimated }) => estimated),
	};
}
