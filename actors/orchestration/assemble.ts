import { createHash } from "node:crypto";
import type { ChatMessage, ToolOffer } from "../../schemas/events/inference.ts";
import type { Evidence } from "../../schemas/events/retrieval.ts";
import type { Feature, ToolDeclaration } from "../../schemas/feature.ts";
import { MAX_ENTRY_BYTES } from "../../subjects/encoding.ts";
import type { Loaded, Step } from "./state.ts";
import { countTokens } from "./tokens.ts";

export { countTokens };

/** A prompt within its budget: what went in, part by part in tokens, and what did not fit. */
export type Assembled =
	| {
			prompt: ChatMessage[];
			sha256: string;
			tools: ToolOffer[];
			/** The parts of the prompt add up to `prompt_tokens`; `reply` is kept free behind it. */
			context: Record<string, number>;
			dropped: Record<string, number>;
			prompt_tokens: number;
			max_output_tokens: number;
	  }
	| { tooLong: string };

/** Tokens that a provider adds per message for roles and separators. */
const MESSAGE_OVERHEAD = 4;
/** Tokens of a passage's number and separators, besides its title and text. */
const PASSAGE_OVERHEAD = 12;
/** What an entry has room for besides the prompt's text. */
const ENTRY_OVERHEAD_BYTES = 32 * 1024;

/**
 * Puts a prompt together: system text, evidence, window, input, tool rounds. System, input and tool rounds have to fit;
 * evidence gives way from its weakest passage, the window from its oldest turn.
 */
export function assemble(
	feature: Feature,
	offered: readonly ToolDeclaration[],
	{ accepted, window, dropped_turns }: Loaded,
	documents: readonly Evidence[],
	steps: readonly Step[],
): Assembled {
	const tools = offered.map(({ name, description, parameters }) => ({ name, description, parameters }));
	const rounds = steps.flatMap(stepMessages);
	const fixed = {
		system: systemTokens(feature) + MESSAGE_OVERHEAD,
		input: countTokens(accepted.input) + MESSAGE_OVERHEAD,
		tools: [...tools, ...rounds].reduce((sum, part) => sum + countTokens(JSON.stringify(part)) + MESSAGE_OVERHEAD, 0),
	};
	const { reply } = feature.budget;
	const room = feature.models.context_tokens - reply - fixed.system - fixed.input - fixed.tools;
	if (room < 0) {
		return {
			tooLong: `system text, input and tool rounds are expected to leave ${reply} tokens for the reply, they have ${-room} too many`,
		};
	}
	const evidence = fitting(
		documents,
		({ tokens, title }) => tokens + countTokens(title) + PASSAGE_OVERHEAD,
		Math.min(feature.budget.evidence, room),
	);
	const turns = recentTurns(window, Math.min(feature.budget.window, room - evidence.tokens));
	const system = evidence.kept.length > 0 ? `${feature.prompt}\n\n${evidenceBlock(evidence.kept)}` : feature.prompt;
	const prompt: ChatMessage[] = [
		{ role: "system", content: system },
		...turns.kept.map(({ role, text }): ChatMessage => ({ role, content: text })),
		{ role: "user", content: accepted.input },
		...rounds,
	];
	const text = JSON.stringify(prompt);
	const bytes = Buffer.byteLength(text) + Buffer.byteLength(JSON.stringify(tools));
	if (bytes > MAX_ENTRY_BYTES - ENTRY_OVERHEAD_BYTES) {
		return {
			tooLong: `the prompt is expected to fit one entry of the log (${MAX_ENTRY_BYTES} bytes), it has ${bytes}`,
		};
	}
	return {
		prompt,
		sha256: createHash("sha256").update(text).digest("hex"),
		tools,
		context: { ...fixed, evidence: evidence.tokens, window: turns.tokens, reply },
		dropped: {
			evidence: documents.length - evidence.kept.length,
			window: window.length - turns.kept.length + dropped_turns,
		},
		prompt_tokens: fixed.system + fixed.input + fixed.tools + evidence.tokens + turns.tokens,
		max_output_tokens: reply,
	};
}

/** A feature object never changes, and its prompt is the longest text that is the same for every request. */
const counted = new WeakMap<Feature, number>();

function systemTokens(feature: Feature): number {
	const tokens = counted.get(feature) ?? countTokens(feature.prompt);
	counted.set(feature, tokens);
	return tokens;
}

/** Evidence as the model reads it: numbered passages between markers, which no passage can close. It is quoted material, never instruction. */
function evidenceBlock(documents: readonly Evidence[]): string {
	const passages = documents.map(({ n, title, text }) =>
		`[${n}] ${title}\n${text}`.replace(/<(\/?)evidence>/gi, "($1evidence)"),
	);
	return `<evidence>\n${passages.join("\n\n")}\n</evidence>`;
}

/** Results stand in the order of the calls, whoever answered first. */
function stepMessages(step: Step): ChatMessage[] {
	const answers = step.calls.map((call): ChatMessage => {
		const result = step.results[call.id];
		const content = result?.ok ? result.text : `The tool failed: ${result?.message ?? "it gave no answer"}`;
		return { role: "tool", tool_call_id: call.id, content };
	});
	return [{ role: "assistant", content: step.text, tool_calls: [...step.calls] }, ...answers];
}

/** The newest turns that fit, oldest first. An answer whose question did not fit is dropped too. */
function recentTurns(window: Loaded["window"], budget: number): { kept: Loaded["window"]; tokens: number } {
	const size = ({ tokens }: Loaded["window"][number]) => tokens + MESSAGE_OVERHEAD;
	const { kept, tokens } = fitting([...window].reverse(), size, budget);
	const oldest = kept.at(-1);
	const orphan = kept.length < window.length && oldest?.role === "assistant";
	return orphan
		? { kept: kept.slice(0, -1).reverse(), tokens: tokens - size(oldest) }
		: { kept: kept.reverse(), tokens };
}

/** The longest beginning of a list that fits. */
function fitting<T>(items: readonly T[], size: (item: T) => number, budget: number): { kept: T[]; tokens: number } {
	const kept: T[] = [];
	let tokens = 0;
	for (const item of items) {
		const more = size(item);
		if (tokens + more > budget) break;
		tokens += more;
		kept.push(item);
	}
	return { kept, tokens };
}
