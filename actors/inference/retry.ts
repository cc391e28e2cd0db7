import type { ProviderErrorKind } from "./provider.ts";

/** What to do after a failed attempt: the same provider again, the next in the chain, or nobody. */
export type Next = "again" | "fall_back" | "give_up";

const byKind: Record<ProviderErrorKind, Next> = {
	// Passing trouble: worth the same call again, if budget is left.
	rate_limited: "again",
	overloaded: "again",
	server_error: "again",
	// The provider is not in a state to answer soon: somebody else is.
	unreachable: "fall_back",
	timeout: "fall_back",
	cut: "fall_back",
	stalled: "fall_back",
	malformed: "fall_back",
	empty: "fall_back",
	// Only another provider, or another key, can help.
	unauthorized: "fall_back",
	context_length: "fall_back",
	// Nobody will take this.
	invalid_request: "give_up",
	content_filter: "give_up",
	aborted: "give_up",
};

export const nextAfter = (kind: ProviderErrorKind): Next => byKind[kind];

const BASE_MS = 200;
const CEILING_MS = 5_000;

/**
 * Milliseconds to wait before the same provider is called again: what it asked for, else exponential backoff with full
 * jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015). `random` is in 0..1.
 */
export function backoffMs(failures: number, retryAfterMs: number | undefined, random: number): number {
	if (retryAfterMs !== undefined) return retryAfterMs;
	return Math.round(random * Math.min(CEILING_MS, BASE_MS * 2 ** failures));
}
