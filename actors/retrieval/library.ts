import type { DocumentRow } from "../../schemas/documents.ts";

/** Documents of a tenant: the list, and the contents that wait to be taken in. */
export type Library = {
	row(tenant: string, document_id: string): Promise<DocumentRow | undefined>;
	/** When each of these documents was taken in. */
	ingestedAt(tenant: string, document_ids: readonly string[]): Promise<Map<string, number>>;
	/** The content that a request brought; nothing once it has been taken in. */
	content(tenant: string, request: string, sha256: string): Promise<string | undefined>;
	/** Lists the document and lets its content go, in one commit. */
	shelve(tenant: string, request: string, row: DocumentRow): Promise<void>;
};
