import type { Library } from "../../actors/retrieval/library.ts";
import type { Search } from "../../actors/retrieval/ports.ts";
import type { DocumentShelf } from "../../gateway/ports.ts";
import type { DocumentRow } from "../../schemas/documents.ts";
import type { Change, Documents } from "./documents.ts";

/** A content stands under tenant, request and hash, never shared between requests (L13). */
const contentId = (request: string, sha256: string): string => `${request}/${sha256}`;

export function documentShelf(documents: Documents, search: Pick<Search, "delete">): DocumentShelf {
	return {
		async list(tenant, after, limit) {
			const rows = await documents.list<DocumentRow>(tenant, "document", {
				limit,
				...(after === undefined ? {} : { after }),
			});
			return rows.map(({ value }) => value);
		},
		async putContent(tenant, request, sha256, text) {
			await documents.commit(tenant, [
				{ op: "insert", kind: "content", id: contentId(request, sha256), value: { text } },
			]);
		},
		async remove(tenant, document_id) {
			if (!(await documents.get(tenant, "document", document_id))) return false;
			// The search engine first: a document that is still listed can be deleted again.
			await search.delete(tenant, document_id);
			await documents.commit(tenant, [{ op: "remove", kind: "document", id: document_id }]);
			return true;
		},
	};
}

export function library(documents: Documents): Library {
	const row: Library["row"] = async (tenant, document_id) =>
		(await documents.get<DocumentRow>(tenant, "document", document_id))?.value;
	return {
		row,
		async ingestedAt(tenant, document_ids) {
			const rows = await Promise.all([...new Set(document_ids)].map((id) => row(tenant, id)));
			return new Map(rows.flatMap((found) => (found ? [[found.document_id, found.ingested_at] as const] : [])));
		},
		async content(tenant, request, sha256) {
			return (await documents.get<{ text: string }>(tenant, "content", contentId(request, sha256)))?.value.text;
		},
		async shelve(tenant, request, value) {
			const id = value.document_id;
			for (;;) {
				const stored = await documents.get<DocumentRow>(tenant, "document", id);
				const list: Change = stored
					? { op: "replace", kind: "document", id, value, version: stored.version }
					: { op: "insert", kind: "document", id, value };
				const content = { kind: "content", id: contentId(request, value.sha256) };
				const changes: Change[] = (await documents.get(tenant, content.kind, content.id))
					? [list, { op: "remove", ...content }]
					: [list];
				if ((await documents.commit(tenant, changes)) === "done") return;
			}
		},
	};
}
