import { z } from "zod";

/** Where a stream breaks: before its content chunk number `at`, counted from 0; past the last one means before the finish reason. */
const at = z.int().nonnegative().default(0);

const fault = z.discriminatedUnion("kind", [
	/** Refused with this HTTP status; `retry_after` is the header as sent, `code` the error's own code. Nothing is billed. */
	z.strictObject({
		kind: z.literal("status"),
		status: z.int().min(400).max(599),
		retry_after: z.string().optional(),
		retry_after_ms: z.int().nonnegative().optional(),
		code: z.string().optional(),
	}),
	/** The connection is accepted, nothing is ever answered. */
	z.strictObject({ kind: z.literal("silent") }),
	/** Status 200 and headers, then nothing. */
	z.strictObject({ kind: z.literal("headers_only") }),
	/** The socket is destroyed. */
	z.strictObject({ kind: z.literal("cut"), at }),
	/** The body ends cleanly in the middle, with neither finish reason nor `[DONE]`. */
	z.strictObject({ kind: z.literal("short"), at }),
	/** Nothing more comes and the socket stays open; `keep_alive_ms` sends comments and empty deltas meanwhile. */
	z.strictObject({ kind: z.literal("stall"), at, keep_alive_ms: z.int().positive().optional() }),
	/** One event is no JSON; the rest follows as if nothing had been. */
	z.strictObject({ kind: z.literal("malformed"), at }),
	/** `{"error": …}` as an event, then the end. */
	z.strictObject({ kind: z.literal("error_chunk"), at, code: z.string().optional() }),
	/** Ends with `[DONE]`, without content and finish reason. */
	z.strictObject({ kind: z.literal("empty") }),
]);

const behaviour = z.strictObject({
	/** The answer; without it, one is made from the last user message, `tokens` words long when given. */
	text: z.string().optional(),
	tokens: z.int().nonnegative().optional(),
	tool_calls: z
		.array(z.strictObject({ id: z.string().optional(), name: z.string(), arguments: z.string() }))
		.optional(),
	/** Time until the first content, then between words; 0 and 0 send the whole answer in one write. */
	first_ms: z.number().nonnegative().default(0),
	every_ms: z.number().nonnegative().default(0),
	/** Default: `tool_calls` when there are some, `length` when max_tokens cut the answer, else `stop`. */
	finish_reason: z.enum(["stop", "length", "tool_calls", "content_filter"]).optional(),
	/** `last`: a chunk of its own when include_usage asks for it; `inline`: always, in the chunk of the finish reason. */
	usage: z.enum(["last", "inline", "none"]).default("last"),
	cached_tokens: z.int().nonnegative().default(0),
	reasoning_tokens: z.int().nonnegative().default(0),
	/** Some servers never send `[DONE]`. */
	done: z.boolean().default(true),
	fault: fault.optional(),
});

const queued = behaviour.extend({
	/** Only for calls of this model, and whose last user message contains this; a call takes the first entry that fits. */
	model: z.string().optional(),
	contains: z.string().optional(),
	/** How many calls it serves. */
	times: z.int().positive().default(1),
});

/** What the provider does: the queue first, call by call, then always the default. */
export const plan = z.strictObject({ default: behaviour.prefault({}), queue: z.array(queued).default([]) });
export type Plan = z.input<typeof plan>;
export type Behaviour = z.output<typeof behaviour>;
export type Fault = z.output<typeof fault>;

/** Hands out behaviours in the plan's order; served queue entries are used up. */
export function planned(from: z.output<typeof plan>): (model: string, question: string) => Behaviour {
	const queue = from.queue.map((entry) => ({ entry, left: entry.times }));
	return (model, question) => {
		const index = queue.findIndex(
			({ entry }) =>
				(entry.model === undefined || entry.model === model) &&
				(entry.contains === undefined || question.includes(entry.contains)),
		);
		const found = queue[index];
		if (found === undefined) return from.default;
		found.left -= 1;
		if (found.left === 0) queue.splice(index, 1);
		return found.entry;
	};
}

/** Tokens are words here: runs of anything but white space. */
export function countWords(text: string): number {
	let words = 0;
	let inside = false;
	for (let index = 0; index < text.length; index++) {
		const space = text.charCodeAt(index) <= 32;
		if (!space && !inside) words += 1;
		inside = !space;
	}
	return words;
}

/** The answer that follows from the question, so that a test can tell two apart; cites [1] when the prompt holds evidence. */
export function answerTo(question: string, hasEvidence: boolean, words: number | undefined): string {
	const asked = question.split(/\s+/).filter(Boolean);
	if (words === undefined) {
		return `You asked: ${asked.slice(0, 40).join(" ")}.${hasEvidence ? " The evidence says so [1]." : ""}`;
	}
	const made = [...asked.slice(0, words), ...(hasEvidence && words > asked.length ? ["[1]"] : [])];
	for (let n = made.length + 1; n <= words; n++) made.push(`word${n}`);
	return made.join(" ");
}
