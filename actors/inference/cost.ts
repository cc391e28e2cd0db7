import type { ChainLink, Tokens } from "../../schemas/events/inference.ts";

/** Cost of a call in millionths of a dollar, rounded up; a price is in micro-dollars per token. Reasoning is billed as output. */
export function costMicros(tokens: Tokens, price: ChainLink["price"]): number {
	const { uncached_input, cache_read, cache_write, output, reasoning } = tokens;
	const exact =
		uncached_input * price.input +
		cache_read * price.cache_read +
		cache_write * price.cache_write +
		(output + reasoning) * price.output;
	// A float's last digit must not become a whole micro-dollar.
	return Math.ceil(Number(exact.toFixed(6)));
}
