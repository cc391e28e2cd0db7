import { setTimeout as delay } from "node:timers/promises";
import {
	type Provider,
	type ProviderCall,
	ProviderError,
	type ProviderPiece,
} from "../../actors/inference/provider.ts";
import type { ChatMessage } from "../../schemas/events/inference.ts";
import { extract, type Quote } from "./extract.ts";
import { passagesOf } from "./passages.ts";

export type ExtractiveOptions = {
	/** Tokens of a text, by the tokenizer that everything else is counted with; may work in another thread. */
	countTokens(text: string): number | Promise<number>;
	/** Pace of the stream, so that a person sees it come; 0 for none. */
	wordsPerSecond?: number;
};

const wordsPerPiece = 3;
const whoIAm = "a local extractive model that quotes documents, not a language model";

const smallTalk: [said: RegExp, answer: string][] = [
	[
		/^(?:hi|hiya|hello|hey|greetings|good (?:morning|afternoon|evening|day))\b(?: \w+){0,2}$/,
		`Hello, I am ${whoIAm}: ask me something that your documents answer.`,
	],
	[/^(?:(?:many )?thanks|thank you|thx|cheers)\b(?: \w+){0,4}$/, `You are welcome, said by ${whoIAm}.`],
	[/^(?:bye|goodbye|good night|see you)\b(?: \w+){0,2}$/, `Goodbye from ${whoIAm}.`],
	[
		/^(?:help|help me|how are you(?: \w+)?|what are you|who are you|what can you do|what do you do|what can i ask(?: you)?|how do you work|are you (?:a|an) .{1,30})$/,
		`I am ${whoIAm}: I search the documents that were given to me for sentences that speak about your question.`,
	],
];

function smallTalkAnswer(question: string): string | undefined {
	const said = question
		.toLowerCase()
		.replace(/[^\p{L}\p{N}\s]/gu, "")
		.replace(/\s+/g, " ")
		.trim();
	return smallTalk.find(([pattern]) => pattern.test(said))?.[1];
}

/** A full stop goes behind the mark, so that the mark belongs to its sentence. */
function cited({ n, text }: Quote): string {
	return /[.。]$/.test(text) ? `${text.slice(0, -1)} [${n}].` : `${text} [${n}]`;
}

/** A paragraph per passage, a line per quote that is no sentence, such as a table row. */
function between(last: Quote | undefined, next: Quote): string {
	if (last === undefined) return "";
	if (last.n !== next.n) return "\n\n";
	return /[.!?…。！？]["'”’)]*$/.test(last.text) ? " " : "\n";
}

/** The whole answer to a prompt. Everything in it but the sentence about the model itself stands in the evidence. */
export function extractiveAnswer(messages: readonly ChatMessage[]): string {
	const question = messages.findLast((message) => message.role === "user")?.content ?? "";
	const talk = smallTalkAnswer(question);
	if (talk !== undefined) return talk;
	const passages = passagesOf(messages);
	if (passages.length === 0) return `There is no document here that I could answer from; I am ${whoIAm}.`;
	const quotes = extract(question, passages);
	if (quotes.length === 0) {
		return `None of the documents found has a sentence about this that I could quote; I am ${whoIAm}.`;
	}
	return `${quotes.map((quote, at) => between(quotes[at - 1], quote) + cited(quote)).join("")}\n\nThis was answered by ${whoIAm}.`;
}

function pieces(text: string): string[] {
	const parts = text.match(/\S+\s*/g) ?? [];
	return Array.from({ length: Math.ceil(parts.length / wordsPerPiece) }, (_, at) =>
		parts.slice(at * wordsPerPiece, (at + 1) * wordsPerPiece).join(""),
	);
}

async function* answerCall(
	{ countTokens, wordsPerSecond = 40 }: ExtractiveOptions,
	call: ProviderCall,
	signal: AbortSignal,
): AsyncGenerator<ProviderPiece> {
	const aborted = () => new ProviderError("aborted", "local extractive model: the call was aborted");
	const answer = extractiveAnswer(call.messages);
	const uncached_input = await countTokens(call.messages.map((message) => message.content).join("\n"));
	// Counting each piece costs more than counting once, and only a long answer needs it.
	const fits = (await countTokens(answer)) <= call.max_output_tokens;
	let sent = "";
	let finish_reason: "stop" | "length" = "stop";
	for (const piece of pieces(answer)) {
		if (signal.aborted) throw aborted();
		if (!fits && (await countTokens(sent + piece)) > call.max_output_tokens) {
			finish_reason = "length";
			break;
		}
		if (sent !== "" && wordsPerSecond > 0) {
			await delay((wordsPerPiece / wordsPerSecond) * 1000, undefined, { signal }).catch(() => {
				throw aborted();
			});
		}
		sent += piece;
		yield { type: "text", text: piece };
	}
	if (signal.aborted) throw aborted();
	const tokens = { uncached_input, cache_read: 0, cache_write: 0, output: await countTokens(sent), reasoning: 0 };
	yield { type: "end", finish_reason, tool_calls: [], tokens };
}

/**
 * A model for a machine without any key, in this process and without a network: it quotes the sentences of the evidence that
 * speak most about the last user message, each with its mark `[n]`, says in every answer what it is, and invents nothing.
 * It calls no tools and follows no instructions; the limits of a call do not concern it.
 */
export function extractiveProvider(options: ExtractiveOptions): Provider {
	return { stream: (call, _limits, signal) => answerCall(options, call, signal) };
}
