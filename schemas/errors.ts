/** What a code means: its HTTP status where it answers a call, whether the same call may work later, one sentence. */
export type ErrorKind = { status: number; retryable: boolean; sentence: string };

/** The closed list of error codes. Metrics and clients depend on the names. */
export const errors = {
	// Answers at a door: nothing was accepted.
	unauthorized: { status: 401, retryable: false, sentence: "No key, or one that nobody knows." },
	forbidden: { status: 403, retryable: false, sentence: "The key's roles do not allow this." },
	invalid_body: { status: 400, retryable: false, sentence: "The body or frame is not what the protocol expects." },
	unknown_feature: { status: 400, retryable: false, sentence: "The feature is not in the configuration." },
	body_too_large: { status: 413, retryable: false, sentence: "The body or frame is over the limit." },
	not_found: { status: 404, retryable: false, sentence: "Unknown, expired, or somebody else's." },
	diverged: { status: 410, retryable: false, sentence: "The cursor belongs to a log that is lost." },
	method_not_allowed: { status: 405, retryable: false, sentence: "The path exists and does not take this method." },
	idempotency_mismatch: { status: 422, retryable: false, sentence: "The key was used before with another body." },
	rate_limited: { status: 429, retryable: true, sentence: "The tenant's requests per minute are spent." },
	too_many_requests: { status: 429, retryable: true, sentence: "The tenant has as many requests open as it may." },
	log_unavailable: { status: 503, retryable: true, sentence: "The log cannot be reached; nothing was accepted." },
	unavailable: { status: 503, retryable: true, sentence: "A part that this needs is away; nothing was accepted." },
	internal: { status: 500, retryable: true, sentence: "A fault of this server." },
	// Ends of an accepted request.
	session_busy: { status: 200, retryable: true, sentence: "The session has an open turn." },
	deadline_exceeded: { status: 200, retryable: true, sentence: "The request's time was over." },
	provider_failed: { status: 200, retryable: true, sentence: "No model of the chain gave an answer." },
	provider_refused: { status: 200, retryable: false, sentence: "The model's provider refuses this call." },
	evidence_missing: { status: 200, retryable: false, sentence: "Nothing in the documents answers this." },
	evidence_unavailable: { status: 200, retryable: true, sentence: "The documents cannot be searched now." },
	tool_failed: { status: 200, retryable: true, sentence: "A tool that the answer needs did not work." },
	context_too_long: { status: 200, retryable: false, sentence: "The input does not fit the context." },
	validation_failed: { status: 200, retryable: true, sentence: "The answer failed its checks and was withdrawn." },
	ingest_failed: { status: 200, retryable: false, sentence: "A document could not be read." },
	poisoned: { status: 200, retryable: false, sentence: "The request brought its handler down again and again." },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errors;
export const errorCodes = Object.keys(errors) as [ErrorCode, ...ErrorCode[]];

/** A failure with its code; `message` says what was expected, what came, and what to do. */
export class CodedError extends Error {
	readonly code: ErrorCode;
	/** Seconds after which a retry makes sense. */
	readonly retryAfter: number | undefined;

	constructor(code: ErrorCode, message: string, retryAfter?: number) {
		super(message);
		this.code = code;
		this.retryAfter = retryAfter;
	}
}
