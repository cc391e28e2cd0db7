import type { Entry } from "../../schemas/entry.ts";
import type { FeatureFile } from "../../schemas/feature.ts";
import type { FinalObject } from "../../schemas/frames.ts";

/** One finished turn of a session. */
export type Turn = { request: string; at: number; user: Said; assistant: Said };
export type Said = { text: string; tokens: number };

/** What the session keeps of a request while it is open. */
export type OpenRequest = {
	tenant: string;
	/** `-` when the request takes no turn. */
	session: string;
	request: string;
	principal: string;
	fingerprint: string;
	input: string;
	at: number;
};

/** What opening came to. `ended`: the request has its result already; a late handler must not open it again. */
export type Opening =
	| { outcome: "opened"; turns: readonly Turn[]; older: number; version: number }
	| { outcome: "busy"; with: string }
	| { outcome: "foreign" }
	| { outcome: "ended" };

/** The session store. Both calls are idempotent, and every change is conditional on what was read (§8). */
export type Sessions = {
	/** Makes the request its session's open one; a new session belongs to the principal. */
	open(request: OpenRequest): Promise<Opening>;
	/** Stores turn and result, and frees the session and the lease, in one commit. `turn` is absent for ends that leave none. */
	close(
		tenant: string,
		request: string,
		final: FinalObject,
		turn: ((open: OpenRequest) => Promise<Turn>) | undefined,
	): Promise<void>;
};

export type SessionPorts = {
	sessions: Sessions;
	/** A feature under a configuration's hash. */
	feature(config_sha: string, name: string): Promise<FeatureFile>;
	countTokens(text: string): Promise<number>;
	/** Last entry of a request: the truth about whether it has ended (L12). */
	tail(tenant: string, request: string): Promise<Entry | undefined>;
	/** Every entry of a request, for an end that does not carry its own text. */
	history(end: Entry): Promise<readonly Entry[]>;
};
