import { expect, test } from "vitest";
import { toolCallAssembly, toParams, toTokens } from "./chat-completions.ts";

const usage = (prompt_tokens: number, completion_tokens: number, rest: object = {}) => ({
	prompt_tokens,
	completion_tokens,
	total_tokens: prompt_tokens + completion_tokens,
	...rest,
});

test("messages, tool calls and tool answers go out in the provider's words", () => {
	const params = toParams(
		{
			model: "m",
			messages: [
				{ role: "system", content: "s" },
				{ role: "user", content: "u" },
				{ role: "assistant", content: "", tool_calls: [{ id: "call_1", name: "now", arguments: "{}" }] },
				{ role: "tool", tool_call_id: "call_1", content: "noon" },
				{ role: "assistant", content: "a", tool_calls: [] },
			],
			tools: [{ name: "now", description: "The time", parameters: { type: "object" } }],
			max_output_tokens: 9,
		},
		"max_completion_tokens",
	);
	expect(params).toEqual({
		model: "m",
		messages: [
			{ role: "system", content: "s" },
			{ role: "user", content: "u" },
			{
				role: "assistant",
				content: null,
				tool_calls: [{ id: "call_1", type: "function", function: { name: "now", arguments: "{}" } }],
			},
			{ role: "tool", tool_call_id: "call_1", content: "noon" },
			{ role: "assistant", content: "a" },
		],
		tools: [{ type: "function", function: { name: "now", description: "The time", parameters: { type: "object" } } }],
		max_completion_tokens: 9,
		stream: true,
		stream_options: { include_usage: true },
	});
});

test("[I5] cached and written tokens are taken out of the input, reasoning out of the output", () => {
	const details = {
		prompt_tokens_details: { cached_tokens: 30, cache_write_tokens: 20 },
		completion_tokens_details: { reasoning_tokens: 4 },
	};
	const tokens = { uncached_input: 50, cache_read: 30, cache_write: 20, output: 6, reasoning: 4 };
	expect(toTokens(usage(100, 10, details))).toEqual(tokens);
});

test("[I5] no class is ever negative", () => {
	const details = {
		prompt_tokens_details: { cached_tokens: 300, cache_write_tokens: -1 },
		completion_tokens_details: { reasoning_tokens: 40 },
	};
	expect(toTokens(usage(100, 10, details))).toEqual({
		uncached_input: 0,
		cache_read: 100,
		cache_write: 0,
		output: 10,
		reasoning: 40,
	});
});

test("[I5] reasoning that the total counts beside the completion is not taken out of it", () => {
	const details = { total_tokens: 114, completion_tokens_details: { reasoning_tokens: 4 } };
	expect(toTokens(usage(100, 10, details))).toMatchObject({ output: 10, reasoning: 4 });
});

test("[I5] a placeholder of zeros is no usage", () => {
	expect(toTokens(usage(0, 0))).toBeUndefined();
	expect(toTokens(null)).toBeUndefined();
});

test("tool calls mixed in order, repeated names and missing ids come out whole", () => {
	const assembly = toolCallAssembly();
	assembly.add([{ index: 1, id: "call_b", function: { name: "second", arguments: "{" } }]);
	assembly.add([{ index: 0, function: { name: "first", arguments: "" } }]);
	assembly.add([
		{ index: 1, id: "call_b", function: { name: "second", arguments: "}" } },
		{ index: 0, function: { arguments: "[]" } },
	]);
	expect(assembly.calls()).toEqual([
		{ id: "call_1", name: "first", arguments: "[]" },
		{ id: "call_b", name: "second", arguments: "{}" },
	]);
});
