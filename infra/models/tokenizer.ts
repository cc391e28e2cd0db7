import { countTokens } from "../../actors/orchestration/tokens.ts";
import { chunk, type TextChunk } from "../../actors/retrieval/chunk.ts";
import { openThread } from "../search/thread.ts";
import type { TokenizerCalls } from "./tokenizer-thread.ts";

/** Characters that are tokenised in well under 10 ms; longer texts go to a thread (L7). */
const INLINE_CHARACTERS = 8_000;

export type Tokenizer = {
	count(text: string): Promise<number>;
	chunk(document: Parameters<TokenizerCalls["chunk"]>[0]): Promise<TextChunk[]>;
	close(): Promise<void>;
};

/** Counts and cuts texts with the o200k_base vocabulary; the thread for long ones starts at the first of them. */
export function openTokenizer(): Tokenizer {
	const thread = openThread<TokenizerCalls>(new URL("./tokenizer-thread.ts", import.meta.url), undefined);
	return {
		count: async (text) => (text.length <= INLINE_CHARACTERS ? countTokens(text) : thread.call("count", text)),
		chunk: async (document) =>
			document.text.length <= INLINE_CHARACTERS ? chunk(document, countTokens) : thread.call("chunk", document),
		close: () => thread.close(),
	};
}
