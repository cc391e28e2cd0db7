import { createHash } from "node:crypto";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import type { ChatMessage, ToolOffer } from "../../schemas/events/inference.ts";
import type { Evidence } from "../../schemas/events/retrieval.ts";
import type { Feature, RouteRow, ToolDeclaration } from "../../schemas/feature.ts";
import type { Loaded, Step } from "./state.ts";

export { countTokens };

/** A prompt within its budget: what went in, part by part in tokens, and what did not fit. */
export type Assembled =
	| {
			prompt: ChatMessage[];
			sha256: string;
			tools: ToolOffer[];
			context: Record<string, number>;
			dropped: Record<string, number>;
			prompt_tokens: number;
			max_output_tokens: number;
	  }
	| { tooLong: string };

/** Tokens that a provider adds per message for roles and separators. */
const MESSAGE_OVERHEAD = 4;

/** May a caller with these roles use the tool in this feature? */
export const mayUse = (tool: ToolDeclaration, feature: string, roles: readonly string[]): boolean =>
	(tool.roles.length === 0 || tool.roles.some((role) => roles.includes(role))) &&
	(tool.features.length === 0 || tool.features.includes(feature));

/** Evidence as the model reads it: numbered passages between markers. It is quoted material, never instruction. */
function evidenceBlock(documents: readonly Evidence[]): string {
	const passages = documents.map(({ n, title, text }) => `[${n}] ${title}\n${text}`);
	return `<evidence>\n${passages.join("\n\n")}\n</evidence>`;
}

function stepMessages(step: Step): ChatMessage[] {
	const answers = step.calls.map((call): ChatMessage => {
		const result = step.results[call.id];
		const content = result?.ok ? result.text : `The tool failed: ${result?.message ?? "it gave no answer"}`;
		return { role: "tool", tool_call_id: call.id, content };
	});
	return [{ role: "assistant", content: step.text, tool_calls: [...step.calls] }, ...answers];
}

/**
 * Puts a prompt together: system text, evidence, window, input, tool rounds. System, input and tool rounds have to fit;
 * evidence gives way from its weakest passage, the window from its oldest turn.
 */
export function assemble(
	feature: Feature,
	row: RouteRow,
	declared: readonly ToolDeclaration[],
	loaded: Loaded,
	documents: readonly Evidence[],
	steps: readonly Step[],
): Assembled {
	const { accepted, window } = loaded;
	const input = countTokens(accepted.input);
	if (input > feature.budget.input)
		return { tooLong: `the input is expected to have at most ${feature.budget.input} tokens, got ${input}` };
	const offers = row.tools.flatMap(({ name }) => {
		const tool = declared.find((candidate) => candidate.name === name);
		return tool && feature.models.tools && mayUse(tool, feature.name, accepted.roles) ? [tool] : [];
	});
	const tools = offers.map(({ name, description, parameters }) => ({ name, description, parameters }));
	const rounds = steps.flatMap(stepMessages);
	const fixed = {
		system: countTokens(feature.prompt),
		input,
		tools:
			countTokens(JSON.stringify(tools)) +
			rounds.reduce((sum, message) => sum + countTokens(JSON.stringify(message)), 0),
	};
	const reply = feature.budget.reply;
	const room = feature.models.context_tokens - reply - fixed.system - fixed.input - fixed.tools;
	if (room < 0)
		return {
			tooLong: `system text, input and tool rounds are expected to leave ${reply} tokens for the reply, they need ${-room} too many`,
		};

	const evidence = fitting(
		documents,
		({ tokens }) => tokens + MESSAGE_OVERHEAD * 4,
		Math.min(feature.budget.evidence, room),
	);
	const turns = fitting(
		[...window].reverse(),
		({ tokens }) => tokens + MESSAGE_OVERHEAD,
		Math.min(feature.budget.window, room - evidence.tokens),
	);
	const system = evidence.kept.length > 0 ? `${feature.prompt}\n\n${evidenceBlock(evidence.kept)}` : feature.prompt;
	const prompt: ChatMessage[] = [
		{ role: "system", content: system },
		...turns.kept.reverse().map(({ role, text }): ChatMessage => ({ role, content: text })),
		{ role: "user", content: accepted.input },
		...rounds,
	];
	const context = { ...fixed, evidence: evidence.tokens, window: turns.tokens, reply };
	return {
		prompt,
		sha256: createHash("sha256").update(JSON.stringify(prompt)).digest("hex"),
		tools,
		context,
		dropped: {
			evidence: documents.length - evidence.kept.length,
			window: window.length - turns.kept.length + loaded.dropped_turns,
		},
		prompt_tokens:
			fixed.system + fixed.input + fixed.tools + evidence.tokens + turns.tokens + MESSAGE_OVERHEAD * prompt.length,
		max_output_tokens: reply,
	};
}

/** The longest beginning of a list that fits. */
function fitting<T>(items: readonly T[], size: (item: T) => number, budget: number): { kept: T[]; tokens: number } {
	const kept: T[] = [];
	let tokens = 0;
	for (const item of items) {
		if (tokens + size(item) > budget) break;
		tokens += size(item);
		kept.push(item);
	}
	return { kept, tokens };
}
