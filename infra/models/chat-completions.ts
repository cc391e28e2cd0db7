import type OpenAI from "openai";
import type { ProviderCall } from "../../actors/inference/provider.ts";
import type { ChatMessage, Tokens, ToolCall, ToolOffer } from "../../schemas/events/inference.ts";

type Chat = OpenAI.Chat.Completions.ChatCompletionMessageParam;
type Params = OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming;
type ToolDelta = OpenAI.Chat.Completions.ChatCompletionChunk.Choice.Delta.ToolCall;

/** OpenAI's own newer models refuse `max_tokens`; many compatible servers silently ignore the newer name. */
export type OutputLimitField = "max_tokens" | "max_completion_tokens";

function toChat(message: ChatMessage): Chat {
	if (message.role !== "assistant" || message.tool_calls === undefined || message.tool_calls.length === 0) {
		if (message.role === "assistant") return { role: "assistant", content: message.content };
		return message;
	}
	return {
		role: "assistant",
		content: message.content === "" ? null : message.content,
		tool_calls: message.tool_calls.map((call) => ({
			id: call.id,
			type: "function",
			function: { name: call.name, arguments: call.arguments },
		})),
	};
}

function toTool({ name, description, parameters }: ToolOffer): OpenAI.Chat.Completions.ChatCompletionTool {
	return { type: "function", function: { name, description, parameters } };
}

/** A call in the words of OpenAI chat completions, streamed and with its usage. */
export function toParams(call: ProviderCall, limitField: OutputLimitField): Params {
	return {
		model: call.model,
		messages: call.messages.map(toChat),
		...(call.tools.length > 0 ? { tools: call.tools.map(toTool) } : {}),
		[limitField]: call.max_output_tokens,
		stream: true,
		stream_options: { include_usage: true },
	};
}

const count = (value: unknown) => (typeof value === "number" && value > 0 ? Math.floor(value) : 0);

/**
 * Usage in disjoint classes (I5). A usage without prompt tokens is a placeholder that some servers send before the real one.
 * Where the total says that reasoning stands beside the completion and not in it, it is not taken out of it.
 */
export function toTokens(usage: OpenAI.CompletionUsage | null | undefined): Tokens | undefined {
	const prompt = count(usage?.prompt_tokens);
	if (!usage || prompt === 0) return undefined;
	const completion = count(usage.completion_tokens);
	const cache_read = Math.min(prompt, count(usage.prompt_tokens_details?.cached_tokens));
	const cache_write = Math.min(prompt - cache_read, count(usage.prompt_tokens_details?.cache_write_tokens));
	const reasoning = count(usage.completion_tokens_details?.reasoning_tokens);
	const beside = reasoning > completion || usage.total_tokens === prompt + completion + reasoning;
	return {
		uncached_input: prompt - cache_read - cache_write,
		cache_read,
		cache_write,
		output: beside ? completion : completion - reasoning,
		reasoning,
	};
}

/** Puts tool calls together from their deltas. Servers that leave out the index send each call in one piece or in order. */
export function toolCallAssembly(): { add(deltas: readonly ToolDelta[]): void; calls(): ToolCall[] } {
	const byIndex = new Map<number, ToolCall>();
	return {
		add: (deltas) => {
			for (const delta of deltas) {
				const index = delta.index ?? (delta.id ? byIndex.size : Math.max(0, byIndex.size - 1));
				const call = byIndex.get(index) ?? { id: "", name: "", arguments: "" };
				byIndex.set(index, call);
				call.id ||= delta.id ?? "";
				call.name ||= delta.function?.name ?? "";
				call.arguments += delta.function?.arguments ?? "";
			}
		},
		calls: () =>
			[...byIndex].sort(([a], [b]) => a - b).map(([index, call]) => ({ ...call, id: call.id || `call_${index + 1}` })),
	};
}
