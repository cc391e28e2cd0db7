import type { DocumentRow } from "../schemas/documents.ts";
import type { FinalObject } from "../schemas/frames.ts";
import type { Log } from "../subjects/log.ts";
import type { Credentials } from "./credentials.ts";

/** The result of an ended request, kept beyond its log (L4). */
export type StoredResult = { fingerprint: string; principal: string; final: FinalObject };

/** Results by request id, within a tenant. */
export type Results = { find(tenant: string, request: string): Promise<StoredResult | undefined> };

/** Who owns a session. */
export type SessionOwners = { ownerOf(tenant: string, session: string): Promise<string | undefined> };

/**
 * What a tenant may have open and may start per minute, counted over all gateways. Both are counted per request id: of many
 * tries of one request, in whatever process, the first takes the lease and the start for all of them.
 */
export type Admission = {
	/**
	 * Takes the lease of a request and one of the minute's starts, or says which limit stands against it and for how many
	 * seconds. `held`: another try of this request has both, nothing more is taken. Times in milliseconds since the epoch.
	 */
	take(
		tenant: string,
		request: string,
		now: number,
		expiresAt: number,
	): Promise<"taken" | "held" | { refused: "rate_limited" | "too_many_requests"; retryAfter: number }>;
	/** Gives both back: nothing was claimed, or the request had ended before. Does nothing when there is no such lease. */
	giveBack(tenant: string, request: string, now: number): Promise<void>;
};

/** Documents of a tenant: the list, and the contents that wait for ingestion. */
export type DocumentShelf = {
	list(tenant: string, after: string | undefined, limit: number): Promise<DocumentRow[]>;
	/** Keeps a content until its request has taken it in (L13). */
	putContent(tenant: string, request: string, sha256: string, text: string): Promise<void>;
	/** Out of the search engine, then out of the list; false when there was none. */
	remove(tenant: string, document_id: string): Promise<boolean>;
};

/** Feedback on an ended request. */
export type Feedback = {
	record(
		tenant: string,
		request: string,
		feedback: { principal: string; score: number; comment: string; at: number },
	): Promise<void>;
};

/** What the gateway needs to know of the configuration in force. */
export type FeatureDirectory = {
	sha256: string;
	/** The feature that serves when a submit names none. */
	standard: string;
	find(
		name: string,
	): { roles: readonly string[]; deadline_ms: number; session: "server" | "client" | "none" } | undefined;
};

/** Counters and timings for `/metrics`. */
export type Meter = {
	count(name: string, labels?: Readonly<Record<string, string>>): void;
	gauge(name: string, read: () => number): void;
	render(): string;
};

/** As pino's. */
export type Logger = {
	info(what: Record<string, unknown>, message: string): void;
	warn(what: Record<string, unknown>, message: string): void;
	error(what: Record<string, unknown>, message: string): void;
};

/** Everything that the gateway needs of the outside. */
export type GatewayPorts = {
	log: Log;
	credentials: Credentials;
	results: Results;
	owners: SessionOwners;
	admission: Admission;
	shelf: DocumentShelf;
	feedback: Feedback;
	features: FeatureDirectory;
	meter: Meter;
	/** Names what is missing before requests can be served; empty when nothing is. */
	ready(): Promise<string[]>;
	logger: Logger;
};
