import { z } from "zod";
import { type Tool, tool } from "./tool.ts";

/** Finds passages for a query, as retrieval does; of the caller's tenant and labels only. */
export type FindPassages = (
	caller: { tenant: string; labels: readonly string[] },
	query: string,
	limit: number,
	signal: AbortSignal,
) => Promise<readonly { title: string; text: string }[]>;

/** Lets the model look things up in the tenant's documents while it works on a task. */
export const searchDocuments = (find: FindPassages): Tool =>
	tool({
		name: "search_documents",
		description:
			"Searches the documents for passages about a query. Use it when the passages at hand do not answer the question.",
		arguments: z.strictObject({
			query: z.string().min(1).max(500).describe("What to look for, in plain words"),
			limit: z.int().min(1).max(8).default(4).describe("Passages to return"),
		}),
		roles: [],
		features: [],
		timeout_ms: 10_000,
		idempotent: true,
		async run({ query, limit }, { tenant, roles }, signal) {
			const passages = await find({ tenant, labels: roles }, query, limit, signal);
			if (passages.length === 0) return "No passage of the documents is about this.";
			return passages.map(({ title, text }) => `${title}\n${text}`).join("\n\n---\n\n");
		},
	});
