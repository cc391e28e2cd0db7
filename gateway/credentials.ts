/** Who makes a request. All three come from the verified credential, never from what a client says elsewhere. */
export type Identity = { tenant: string; principal: string; roles: readonly string[] };

/** What tells who a client is. */
export type Credentials = {
	/**
	 * Who the token belongs to, or nothing: for a token that is malformed, unknown or revoked, which look the same from
	 * outside. Rejects when it cannot be found out now (the store is away, or a flood of unknown tokens is being held off);
	 * that is no verdict on the token, so answer it as a retryable failure (503) and never as "unknown".
	 */
	identify(token: string): Promise<Identity | undefined>;
};
