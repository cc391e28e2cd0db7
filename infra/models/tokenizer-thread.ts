import { countTokens } from "../../actors/orchestration/tokens.ts";
import { chunk, type TextChunk } from "../../actors/retrieval/chunk.ts";
import { serveThread } from "../search/thread.ts";

type Document = Parameters<typeof chunk>[0];
export type TokenizerCalls = { count(text: string): number; chunk(document: Document): TextChunk[] };

const calls: TokenizerCalls = {
	count: (text) => countTokens(text),
	chunk: (document) => chunk(document, countTokens),
};
serveThread(calls, () => {});
