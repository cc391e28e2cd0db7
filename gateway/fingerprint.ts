import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import type { DocumentPart } from "../schemas/events/request.ts";
import type { SubmitBody } from "../schemas/frames.ts";

/**
 * SHA-256 (hex) of what was asked, as sent: RFC 8785 JSON of the fields of L4, absent ones omitted, so that the same call
 * has the same fingerprint on every door. An ingestion's documents count as well; their hashes stand for their contents.
 */
export function fingerprint(body: SubmitBody, documents?: readonly DocumentPart[]): string {
	const { input, history, metadata, deadline_ms, feature, session_id } = body;
	const json = canonicalize({ input, history, metadata, deadline_ms, feature, session_id, documents });
	return createHash("sha256")
		.update(json ?? "")
		.digest("hex");
}
