/** What the tenant's list knows of a document that was taken in. */
export type DocumentRow = {
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
