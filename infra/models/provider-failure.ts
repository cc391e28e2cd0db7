import { APIError } from "openai";
import { ProviderError, type ProviderErrorKind } from "../../actors/inference/provider.ts";
import type { Tokens } from "../../schemas/events/inference.ts";

/** What a call costs that was refused or never arrived: measured, so nobody estimates it (I5). */
const unbilled: Tokens = { uncached_input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 };

const kindOfCode: Record<string, ProviderErrorKind> = {
	context_length_exceeded: "context_length",
	exceed_context_size_error: "context_length",
	content_filter: "content_filter",
	content_policy_violation: "content_filter",
	rate_limit_exceeded: "rate_limited",
	rate_limit_error: "rate_limited",
	insufficient_quota: "rate_limited",
	overloaded_error: "overloaded",
	authentication_error: "unauthorized",
	invalid_api_key: "unauthorized",
	invalid_request_error: "invalid_request",
};

function kindOfStatus(status: number | undefined): ProviderErrorKind {
	switch (status) {
		case undefined:
			return "server_error";
		case 401:
		case 403:
			return "unauthorized";
		case 408:
		case 504:
			return "timeout";
		case 425:
		case 429:
			return "rate_limited";
		case 503:
		case 529:
			return "overloaded";
		default:
			return status >= 500 ? "server_error" : "invalid_request";
	}
}

/** A code says more than a status only where the status leaves it open: an error within a stream, or a 400. */
function kindOf({ status, code, type }: Pick<APIError, "status" | "code" | "type">): ProviderErrorKind {
	if (status !== undefined && status !== 400 && status !== 413) return kindOfStatus(status);
	return kindOfCode[code ?? ""] ?? kindOfCode[type ?? ""] ?? kindOfStatus(status);
}

/**
 * How long a provider asks us to wait, in milliseconds, from `retry-after-ms` or `Retry-After` in seconds or as a date
 * (RFC 9110, 10.2.3). Nothing when it does not ask or cannot be understood.
 */
export function retryAfterMs(get: (name: string) => string | null | undefined, now: number): number | undefined {
	const exact = get("retry-after-ms");
	if (exact && Number(exact) >= 0) return Number(exact);
	const value = get("retry-after");
	if (!value) return undefined;
	const seconds = Number(value);
	const wait = Number.isNaN(seconds) ? Date.parse(value) - now : seconds * 1000;
	return Number.isNaN(wait) ? undefined : Math.max(0, Math.round(wait));
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

/** What an error within a stream means: `error` is the member of that name, as the provider sent it. */
export function streamedFailure(provider: string, error: unknown): ProviderError {
	const { message, code, type }: { message?: unknown; code?: unknown; type?: unknown } =
		typeof error === "object" && error !== null ? error : { message: error };
	const kind = kindOf({ status: undefined, code: text(code), type: text(type) });
	const said = text(message) ?? "no message";
	return new ProviderError(kind, `${provider} broke its stream off with an error: ${said}`);
}

/** Innermost cause that carries a system or transport code such as ECONNREFUSED. */
function transportCode(error: unknown): string | undefined {
	if (!(error instanceof Error)) return undefined;
	const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
	return transportCode(error.cause) ?? code;
}

/**
 * What a failed call means (I4): `error` is what the `openai` package or the transport threw;
 * `connected` says whether the request had left, so that the provider may have begun to work on it.
 */
export function providerFailure(provider: string, error: unknown, connected: boolean): ProviderError {
	if (error instanceof ProviderError) return error;
	if (error instanceof SyntaxError) {
		return new ProviderError("malformed", `${provider}: expected JSON in the stream, got something else`);
	}
	if (error instanceof APIError && error.status !== undefined) {
		const wait = retryAfterMs((name) => error.headers?.get(name), Date.now());
		const kind = kindOf(error);
		// Behind a proxy's time-out a model may have worked on, and some providers bill the prompt that their filter read.
		const billed = kind === "timeout" || kind === "content_filter";
		return new ProviderError(kind, `${provider} answered ${error.message}`, wait, billed ? undefined : unbilled);
	}
	const code = transportCode(error) ?? (error instanceof Error ? error.message : String(error));
	return connected
		? new ProviderError("cut", `${provider}: the connection was lost before the answer was over (${code})`)
		: new ProviderError(
				"unreachable",
				`${provider}: no connection (${code}); check the base URL and the network`,
				undefined,
				unbilled,
			);
}
