import type OpenAI from "openai";
import { ProviderError } from "../../actors/inference/provider.ts";
import { eventReader } from "./event-stream.ts";
import { streamedFailure } from "./provider-failure.ts";

export type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk;

/** Parsed JSON need not be a chunk. One without choices is fine only if it brings the usage. */
function toChunk(provider: string, data: string): Chunk {
	const value: (Partial<Chunk> & { error?: unknown }) | null = JSON.parse(data);
	if (value?.error) throw streamedFailure(provider, value.error);
	if (Array.isArray(value?.choices) || value?.usage) return value as Chunk;
	throw new ProviderError("malformed", `${provider}: expected a chunk with choices, got ${data.slice(0, 80)}`);
}

/**
 * The chunks of a streamed chat completion, up to `[DONE]` or the end of the body: it does not judge which of the two it was.
 * Read here and not by the `openai` package, whose reader costs a third of a call and hides `[DONE]`.
 * Throws `SyntaxError` on data that is no JSON and `ProviderError` on an error within the stream.
 */
export async function* chunksOf(provider: string, response: Response): AsyncGenerator<Chunk> {
	const type = response.headers.get("content-type") ?? "";
	if (type.startsWith("application/json") || response.body === null) {
		throw new ProviderError("malformed", `${provider}: expected a stream of events, got ${type || "no body"}`);
	}
	const events = eventReader();
	for await (const bytes of response.body) {
		for (const data of events.read(bytes)) {
			if (data === "[DONE]") return;
			yield toChunk(provider, data);
		}
	}
	for (const data of events.rest()) {
		if (data !== "[DONE]") yield toChunk(provider, data);
	}
}
