import { createHash } from "node:crypto";
import { z } from "zod";
import { CodedError } from "../../schemas/errors.ts";
import type { DocumentShelf } from "../ports.ts";
import { type Call, readAs, readCount, readJson } from "./call.ts";
import { replyJson } from "./problem.ts";
import { answerSubmit, type SubmitPorts } from "./submits.ts";

export type DocumentPorts = SubmitPorts & { shelf: DocumentShelf };

/** Bytes of the whole body of a document. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const MAX_PAGE = 200;
const STANDARD_PAGE = 50;
/** The feature whose requests take documents in. */
const INGEST = "ingest";

const documentBody = z.strictObject({
	name: z.string().min(1).max(200),
	media_type: z.enum(["text/markdown", "text/plain"]),
	text: z.string().min(1),
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Within a tenant, the name is the document (P33). */
export const documentId = (name: string): string => `d_${sha256(name).slice(0, 26)}`;

export async function postDocument(ports: DocumentPorts, call: Call): Promise<void> {
	const { name, media_type, text } = readAs(documentBody, await readJson(call.exchange, MAX_DOCUMENT_BYTES));
	const hash = sha256(text);
	await answerSubmit(ports, call, {
		body: { feature: INGEST, input: name },
		documents: [
			{
				type: "document",
				document_id: documentId(name),
				name,
				media_type,
				sha256: hash,
				bytes: Buffer.byteLength(text),
			},
		],
		beforeClaim: ({ tenant, request }) => ports.shelf.putContent(tenant, request, hash, text),
	});
}

export async function listDocuments({ shelf }: DocumentPorts, { exchange, identity }: Call): Promise<void> {
	const { query } = exchange.request;
	const limit = Math.max(1, readCount(query.get("limit"), "limit", STANDARD_PAGE, MAX_PAGE));
	const documents = await shelf.list(identity.tenant, query.get("after") ?? undefined, limit);
	const next = documents.length === limit ? documents.at(-1)?.document_id : undefined;
	replyJson(exchange, 200, { documents, next: next ?? null });
}

export async function deleteDocument({ shelf }: DocumentPorts, { exchange, identity, id }: Call): Promise<void> {
	if (!(await shelf.remove(identity.tenant, id)))
		throw new CodedError("not_found", "a document of this tenant is expected, and none has this id");
	exchange.reply(204, {}, "");
}
