import type { Evidence } from "../../schemas/events/retrieval.ts";
import type { Answer, Ask, Worker } from "../actor.ts";
import { find } from "./find.ts";
import { type IngestPorts, ingest, searchFailed } from "./ingest.ts";
import { pack } from "./pack.ts";

type Asks = "retrieval.requested" | "ingest.requested";

/** Tokens that a prompt adds around a passage for its number and separators; its title comes on top, by length. */
const OVERHEAD = 12;
const CHARACTERS_PER_TITLE_TOKEN = 3;
/** Dropped candidates that the event names; the rest had lower scores. */
const NAMED = 10;

/** Finds evidence, and takes in the documents that it is found in (§8). */
export const retrieval: Worker<Asks, IngestPorts> = {
	shape: "worker",
	name: "retrieval",
	asks: ["retrieval.requested", "ingest.requested"],
	perform: (ask, _prior, ports, signal) =>
		ask.type === "ingest.requested" ? ingest(ask, ports, signal) : retrieve(ask, ports),
	abandon(ask, _prior, reason) {
		if (ask.type === "retrieval.requested") return [searchFailed(reason)];
		const documents = ask.data.documents.map(({ document_id, name }) => ({
			document_id,
			name,
			chunks: 0,
			version: 0,
			outcome: "failed" as const,
			problem: reason,
		}));
		return [{ type: "ingest.completed", data: { documents, took_ms: 0 } }];
	},
};

async function retrieve({ data, entry: { tenant } }: Ask<"retrieval.requested">, ports: IngestPorts): Promise<Answer> {
	const begin = ports.now();
	const { query, history, labels, budget_tokens, min_score, deadline_at } = data;
	try {
		const { rewrites, ranked } = await within(deadline_at - begin, find(ports, { tenant, labels, query, history }));
		const strong = ranked.filter(({ rerank_score }) => rerank_score >= min_score);
		const { packed, dropped } = pack(
			strong.map(({ item, ranks, rerank_score }) => {
				const tokens = item.tokens + Math.ceil(item.title.length / CHARACTERS_PER_TITLE_TOKEN);
				return { ...item, ranks, rerank_score, tokens, text_tokens: item.tokens };
			}),
			budget_tokens,
			OVERHEAD,
		);
		const ingestedAt = await ports.library.ingestedAt(
			tenant,
			packed.map(({ document_id }) => document_id),
		);
		const score = new Map(ranked.map(({ item, rerank_score }) => [item.chunk_id, rerank_score]));
		const weak = ranked.slice(strong.length).map(({ item }) => ({ chunk_id: item.chunk_id, reason: "score" }));
		const documents = packed.map(
			({ n, document_id, chunk_id, title, text, text_tokens, ranks, rerank_score }): Evidence => ({
				n,
				document_id,
				chunk_id,
				title,
				text,
				tokens: text_tokens,
				ranks,
				rerank_score,
				ingested_at: ingestedAt.get(document_id) ?? 0,
			}),
		);
		const named = [...dropped, ...weak]
			.slice(0, NAMED)
			.map((row) => ({ ...row, rerank_score: score.get(row.chunk_id) ?? 0 }));
		return [
			{ type: "retrieval.completed", data: { rewrites, documents, dropped: named, took_ms: ports.now() - begin } },
		];
	} catch (problem) {
		return [searchFailed(problem)];
	}
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
	const late = Promise.withResolvers<never>();
	const timer = setTimeout(
		() => late.reject(new Error("the search did not answer before the request's deadline")),
		Math.max(1, ms),
	);
	try {
		return await Promise.race([work, late.promise]);
	} finally {
		clearTimeout(timer);
	}
}
