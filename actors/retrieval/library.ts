/** What the tenant's list knows of a document that was taken in. */
export type LibraryRow = {
	document_id: string;
	name: string;
	media_type: string;
	sha256: string;
	bytes: number;
	chunks: number;
	/** Counts the contents that this document has had, from 1. */
	version: number;
	/** Milliseconds since the epoch. */
	ingested_at: number;
};

/** Documents of a tenant: the list, and the contents that wait to be taken in. */
export type Library = {
	row(tenant: string, document_id: string): Promise<LibraryRow | undefined>;
	/** When each of these documents was taken in. */
	ingestedAt(tenant: string, document_ids: readonly string[]): Promise<Map<string, number>>;
	/** The content that a request brought; nothing once it has been taken in. */
	content(tenant: string, request: string, sha256: string): Promise<string | undefined>;
	/** Lists the document and lets its content go, in one commit. */
	shelve(tenant: string, request: string, row: LibraryRow): Promise<void>;
};
