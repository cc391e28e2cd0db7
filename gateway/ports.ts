import type { FinalObject } from "../schemas/frames.ts";

/** The result of an ended request, kept beyond its log (L4). */
export type StoredResult = { fingerprint: string; principal: string; final: FinalObject };

/** Results by request id, within a tenant. */
export type Results = { find(tenant: string, request: string): Promise<StoredResult | undefined> };

/** Who owns a session. */
export type SessionOwners = { ownerOf(tenant: string, session: string): Promise<string | undefined> };

/** One admission at a time per tenant is counted, over all gateways: a lease per request, and requests per minute. */
export type Admission = {
	/** Takes the lease of a request and one of the minute's starts, or says which limit stands against it and for how many seconds. */
	take(
		tenant: string,
		request: string,
		now: number,
		expiresAt: number,
	): Promise<"taken" | { refused: "rate_limited" | "too_many_requests"; retryAfter: number }>;
	/** Gives both back: somebody else had claimed the request. */
	giveBack(tenant: string, request: string, now: number): Promise<void>;
};

/** A document as the tenant's list shows it. */
export type DocumentRow = {
	document_id: string;
	name: string;
	media_type: string;
	sha256: string;
	bytes: number;
	chunks: number;
	version: number;
	/** Milliseconds since the epoch. */
	ingested_at: number;
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
