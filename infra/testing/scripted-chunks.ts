import type { Behaviour } from "./scripted-plan.ts";
import { answerTo, countWords } from "./scripted-plan.ts";

type Chat = { role: string; content?: unknown; tool_calls?: unknown };

/** The part of a chat completions body that the scripted provider reads. */
export type ChatBody = {
	model: string;
	messages: Chat[];
	stream?: boolean;
	stream_options?: { include_usage?: boolean };
	max_tokens?: number;
	max_completion_tokens?: number;
};

export type Usage = {
	prompt_tokens: number;
	completion_tokens: number;
	total_tokens: number;
	prompt_tokens_details: { cached_tokens: number };
	completion_tokens_details: { reasoning_tokens: number };
};

/** One server-sent event, ready to be written, and the tokens that it is billed for. */
export type Frame = { bytes: Buffer; tokens: number };

/** A whole answer: the frames of its content, and what comes before and after them. */
export type Answer = {
	model: string;
	text: string;
	tool_calls: { id: string; type: "function"; function: { name: string; arguments: string } }[];
	finish_reason: string;
	opening: Buffer;
	frames: Frame[];
	/** All of the above in one piece, for answers that are sent at once. */
	whole: Buffer;
	output_tokens: number;
};

export const doneFrame = Buffer.from("data: [DONE]\n\n");
export const malformedFrame = Buffer.from('data: {"id":"chatcmpl-scripted","choices":[{"index":0,"del\n\n');
export const commentFrame = Buffer.from(": keep-alive\n\n");
const created = 1_750_000_000;

/** The text of a message, whether it is a string or a list of parts. */
export function textOf(message: Chat | undefined): string {
	if (typeof message?.content === "string") return message.content;
	return message?.content === undefined || message.content === null ? "" : JSON.stringify(message.content);
}

export function questionOf(body: ChatBody): string {
	return textOf(body.messages.findLast((message) => message.role === "user"));
}

export function promptTokens(body: ChatBody): number {
	let tokens = 0;
	for (const message of body.messages) {
		tokens += countWords(textOf(message));
		if (message.tool_calls !== undefined) tokens += countWords(JSON.stringify(message.tool_calls));
	}
	return tokens;
}

export function chunkFrame(model: string, choices: unknown[], usage?: Usage): Buffer {
	const chunk = { id: "chatcmpl-scripted", object: "chat.completion.chunk", created, model, choices, usage };
	return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
}

export function finishFrame(answer: Answer, usage?: Usage): Buffer {
	return chunkFrame(answer.model, [{ index: 0, delta: {}, finish_reason: answer.finish_reason }], usage);
}

export function wholeCompletion(answer: Answer, usage: Usage | undefined): string {
	const message = {
		role: "assistant",
		content: answer.tool_calls.length > 0 && answer.text === "" ? null : answer.text,
		tool_calls: answer.tool_calls.length > 0 ? answer.tool_calls : undefined,
	};
	const choices = [{ index: 0, message, finish_reason: answer.finish_reason }];
	return JSON.stringify({
		id: "chatcmpl-scripted",
		object: "chat.completion",
		created,
		model: answer.model,
		choices,
		usage,
	});
}

function build(model: string, text: string, behaviour: Behaviour, cutByLimit: boolean): Answer {
	const delta = (content: unknown) => chunkFrame(model, [{ index: 0, delta: content, finish_reason: null }]);
	const frames: Frame[] = (text.match(/^\s+|\S+\s*/g) ?? []).map((word) => ({
		bytes: delta({ content: word }),
		tokens: countWords(word),
	}));
	const tool_calls = (behaviour.tool_calls ?? []).map((call, index) => ({
		id: call.id ?? `call_${index + 1}`,
		type: "function" as const,
		function: { name: call.name, arguments: call.arguments },
	}));
	for (const [index, call] of tool_calls.entries()) {
		const { name, arguments: text } = call.function;
		const half = text.length >> 1;
		const opening = { index, id: call.id, type: "function", function: { name, arguments: "" } };
		frames.push({ bytes: delta({ tool_calls: [opening] }), tokens: 1 + countWords(text) });
		for (const piece of [text.slice(0, half), text.slice(half)]) {
			if (piece === "") continue;
			frames.push({ bytes: delta({ tool_calls: [{ index, function: { arguments: piece } }] }), tokens: 0 });
		}
	}
	const natural = tool_calls.length > 0 ? "tool_calls" : cutByLimit ? "length" : "stop";
	const opening = delta({ role: "assistant", content: "" });
	return {
		model,
		text,
		tool_calls,
		finish_reason: behaviour.finish_reason ?? natural,
		opening,
		frames,
		whole: Buffer.concat([opening, ...frames.map((frame) => frame.bytes)]),
		output_tokens: frames.reduce((sum, frame) => sum + frame.tokens, 0),
	};
}

/**
 * Builds answers and keeps the last thousand: a benchmark asks the same thing again and again,
 * and the provider shares its two cores with what is measured.
 */
export function answers(): (body: ChatBody, behaviour: Behaviour) => Answer {
	const kept = new Map<Behaviour, Map<string, Answer>>();
	let size = 0;
	return (body, behaviour) => {
		const question = behaviour.text === undefined ? questionOf(body) : "";
		const evidence = behaviour.text === undefined && body.messages.some((message) => /^\[1\] /m.test(textOf(message)));
		const limit = body.max_completion_tokens ?? body.max_tokens ?? Number.POSITIVE_INFINITY;
		const key = `${body.model}\n${limit}\n${evidence}\n${question}`;
		const found = kept.get(behaviour)?.get(key);
		if (found !== undefined) return found;
		const full = behaviour.text ?? (behaviour.tool_calls ? "" : answerTo(question, evidence, behaviour.tokens));
		const words = full.match(/^\s+|\S+\s*/g) ?? [];
		const cut = countWords(full) > limit;
		const answer = build(body.model, cut ? words.slice(0, limit).join("") : full, behaviour, cut);
		if (size >= 1000) {
			kept.clear();
			size = 0;
		}
		size += 1;
		const ofBehaviour = kept.get(behaviour) ?? new Map<string, Answer>();
		kept.set(behaviour, ofBehaviour.set(key, answer));
		return answer;
	};
}
