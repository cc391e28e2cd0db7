import { type Entry, lastSeq } from "../../schemas/entry.ts";
import type { DataOf, EventDraft } from "../../schemas/events/all.ts";
import type { AttemptRow, ChainLink, Tokens } from "../../schemas/events/inference.ts";
import { type Ask, attemptsBegun, isCancelled, type Performance, type Worker } from "../actor.ts";
import { costMicros } from "./cost.ts";
import { type CallLimits, type Provider, ProviderError, type ProviderPiece } from "./provider.ts";
import { backoffMs, nextAfter } from "./retry.ts";

export type InferencePorts = {
	provider(name: string): Provider | undefined;
	limits: CallLimits;
	/** Counts tokens of a text that no provider counted, away from the event loop. */
	countTokens(text: string): Promise<number>;
	/** Milliseconds since the epoch. */
	now(): number;
	random(): number;
	/** Resolves after the time, or at once when the signal aborts. */
	wait(ms: number, signal: AbortSignal): Promise<void>;
};

type Requested = DataOf<"inference.requested">;
type Ended = DataOf<"inference.attempt_ended">;

/** Calls the model: one attempt budget and one deadline over retries and fallbacks (I2), every attempt in the log before it is made (L8). */
export const inference: Worker<"inference.requested", InferencePorts> = {
	shape: "worker",
	name: "inference",
	asks: ["inference.requested"],
	perform,
	abandon(ask, prior, reason) {
		const lost = lostAttempt(ask.data, prior, 0);
		const rows = unended(prior) ? [...attemptRows(prior), rowOf(lost)] : attemptRows(prior);
		const ended: Ended = { ...lost, outcome: "failed", error: { kind: "poisoned", message: reason }, attempts: rows };
		return [...retraction(prior), { type: "inference.attempt_ended", data: ended }];
	},
};

async function* perform(
	ask: Ask<"inference.requested">,
	prior: readonly Entry[],
	ports: InferencePorts,
	signal: AbortSignal,
): Performance {
	const { chain, budget } = ask.data;
	const rows = attemptRows(prior);
	/** Events that belong in front of the next attempt: the end of a lost one, the retraction of its text, a notice. */
	let opening: EventDraft[] = [];
	const lost = unended(prior);
	if (lost) {
		const ended = lostAttempt(ask.data, prior, await ports.countTokens(lost.text));
		rows.push(rowOf(ended));
		opening = [{ type: "inference.attempt_ended", data: ended }, ...retraction(prior)];
	}
	let attempt = attemptsBegun(prior);
	let link = Math.max(
		0,
		chain.findIndex(({ provider, model }) => provider === rows.at(-1)?.provider && model === rows.at(-1)?.model),
	);
	let failures = 0;
	let last: Ended | undefined;
	while (attempt < budget.attempts && !signal.aborted) {
		const at = chain[link];
		if (!at) break;
		attempt += 1;
		const started = yield [
			...opening,
			{ type: "inference.attempt_started", data: { attempt, provider: at.provider, model: at.model } },
		];
		if (!started) break;
		opening = [];
		const ended = yield* call(ask, at, attempt, ports, signal);
		rows.push(rowOf(ended));
		last = ended;
		if (ended.outcome !== "failed") return [{ type: "inference.attempt_ended", data: { ...ended, attempts: rows } }];

		const next = nextOf(ended);
		const following = next === "fall_back" || (next === "again" && failures >= RETRIES_PER_LINK) ? link + 1 : link;
		const later = chain[following];
		const wait = following === link ? backoffMs(failures, ended.retry_after_ms ?? undefined, ports.random()) : 0;
		const over = ports.now() + wait >= budget.deadline_at;
		if (next === "give_up" || !later || over || attempt >= budget.attempts) break;
		// Text that clients have seen goes before another attempt speaks; the attempt is then worth nothing but its cost.
		opening = [{ type: "inference.attempt_ended", data: { ...ended, text: "" } }];
		if (ended.text !== "")
			opening.push({
				type: "output_text.retracted",
				data: { from_seq: lastSeq(started) + 1, reason: "attempt_failed" },
			});
		if (following !== link) {
			opening.push({
				type: "degradation.applied",
				data: {
					mode: "model",
					from: `${at.provider}/${at.model}`,
					to: `${later.provider}/${later.model}`,
					user_notice: ask.data.fallback_notice,
				},
			});
		}
		failures = following === link ? failures + 1 : 0;
		link = following;
		if (wait > 0) await ports.wait(wait, signal);
	}
	return closing(ask.data, opening, last, rows, signal);
}

/** Failures of one link in a row before its successor gets the call. */
const RETRIES_PER_LINK = 2;

/** The last entry when no attempt came to an end of its own: out of budget, out of time, out of chain, or cancelled. */
function closing(
	asked: Requested,
	opening: readonly EventDraft[],
	last: Ended | undefined,
	rows: AttemptRow[],
	signal: AbortSignal,
): EventDraft[] {
	const cancelled = isCancelled(signal);
	if (last && opening.length === 0) return [{ type: "inference.attempt_ended", data: { ...last, attempts: rows } }];
	const lastRow = rows.at(-1);
	const [first] = asked.chain;
	const ended: Ended = {
		attempt: lastRow?.attempt ?? 1,
		provider: lastRow?.provider ?? first?.provider ?? "none",
		model: lastRow?.model ?? first?.model ?? "none",
		outcome: cancelled ? "cancelled" : "failed",
		tokens: lastRow?.tokens ?? nothing,
		cost_micros: lastRow?.cost_micros ?? 0,
		estimated: lastRow?.estimated ?? false,
		text: "",
		finish_reason: null,
		tool_calls: [],
		error: cancelled
			? null
			: (last?.error ?? { kind: "budget", message: `${rows.length} attempts were made and none is left` }),
		retry_after_ms: null,
		first_text_at: null,
		attempts: rows,
	};
	// What was to stand before an attempt that is not made any more; its own end is the one given here.
	const kept = opening.filter(({ type }) => type === "output_text.retracted");
	return [...kept, { type: "inference.attempt_ended", data: ended }];
}

const nothing: Tokens = { uncached_input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 };

/** One call of one provider, from its first byte to its account. Never throws for what a provider does. */
async function* call(
	{ data: asked, entry: { request } }: Ask<"inference.requested">,
	{ provider: name, model, price }: ChainLink,
	attempt: number,
	ports: InferencePorts,
	signal: AbortSignal,
): AsyncGenerator<readonly EventDraft[], Ended, Entry | undefined> {
	let text = "";
	let first_text_at: number | null = null;
	let end: Extract<ProviderPiece, { type: "end" }> | undefined;
	let error: ProviderError | undefined;
	const deadline = new AbortController();
	const timer = setTimeout(() => deadline.abort("deadline"), Math.max(1, asked.budget.deadline_at - ports.now()));
	try {
		const provider = ports.provider(name);
		if (!provider) throw new ProviderError("unreachable", `provider "${name}" is not set up in this process`);
		const toCall = {
			model,
			origin: { request, attempt },
			messages: asked.prompt,
			tools: asked.tools,
			max_output_tokens: asked.budget.max_output_tokens,
		};
		for await (const piece of provider.stream(toCall, ports.limits, AbortSignal.any([signal, deadline.signal]))) {
			if (piece.type === "end") end = piece;
			else {
				first_text_at ??= ports.now();
				text += piece.text;
				yield [{ type: "output_text.delta", data: { text: piece.text } }];
			}
		}
	} catch (problem) {
		if (!(problem instanceof ProviderError)) throw problem;
		error = problem;
	} finally {
		clearTimeout(timer);
	}
	const measured = end?.tokens ?? error?.tokens;
	const tokens = measured ?? { ...nothing, uncached_input: asked.prompt_tokens, output: await ports.countTokens(text) };
	const late = deadline.signal.aborted && !signal.aborted;
	return {
		attempt,
		provider: name,
		model,
		outcome: end ? "completed" : isCancelled(signal) ? "cancelled" : "failed",
		tokens,
		cost_micros: costMicros(tokens, price),
		estimated: measured === undefined,
		text,
		finish_reason: end?.finish_reason ?? null,
		tool_calls: end?.tool_calls ?? [],
		error: end
			? null
			: late
				? { kind: "deadline", message: "the request's time was over" }
				: { kind: error?.kind ?? "cut", message: error?.message ?? "the stream ended without an end" },
		retry_after_ms: error?.retryAfterMs ?? null,
		first_text_at,
	};
}

function nextOf({ error }: Ended): ReturnType<typeof nextAfter> {
	if (!error || error.kind === "deadline" || error.kind === "budget" || error.kind === "poisoned") return "give_up";
	return nextAfter(error.kind as ProviderError["kind"]);
}

const rowOf = ({ attempt, provider, model, outcome, tokens, cost_micros, estimated }: Ended): AttemptRow => ({
	attempt,
	provider,
	model,
	outcome,
	tokens,
	cost_micros,
	estimated,
});

/** The attempts that the log shows as ended. */
function attemptRows(prior: readonly Entry[]): AttemptRow[] {
	return prior.flatMap(({ events }) =>
		events.flatMap((event) => (event.type === "inference.attempt_ended" ? [rowOf(event.data)] : [])),
	);
}

/** The attempt that a dead process left without an end, and the text that it put into the log. */
function unended(
	prior: readonly Entry[],
): { started: DataOf<"inference.attempt_started">; seq: number; text: string } | undefined {
	let open: { started: DataOf<"inference.attempt_started">; seq: number; text: string } | undefined;
	for (const event of prior.flatMap(({ events }) => events)) {
		if (event.type === "inference.attempt_started") open = { started: event.data, seq: event.seq, text: "" };
		else if (event.type === "inference.attempt_ended") open = undefined;
		else if (event.type === "output_text.delta" && open) open.text += event.data.text;
	}
	return open;
}

/** Drops what a lost attempt said (L8). */
function retraction(prior: readonly Entry[]): EventDraft[] {
	const lost = unended(prior);
	return lost && lost.text !== ""
		? [{ type: "output_text.retracted", data: { from_seq: lost.seq + 1, reason: "attempt_lost" } }]
		: [];
}

/** The account of an attempt whose process died: its prompt, and what it is known to have said. */
function lostAttempt(asked: Requested, prior: readonly Entry[], output: number): Ended {
	const started = unended(prior)?.started ?? { attempt: attemptsBegun(prior), provider: "none", model: "none" };
	const link = asked.chain.find(({ provider, model }) => provider === started.provider && model === started.model);
	const tokens = { ...nothing, uncached_input: link ? asked.prompt_tokens : 0, output };
	return {
		...started,
		outcome: "lost",
		tokens,
		cost_micros: link ? costMicros(tokens, link.price) : 0,
		estimated: true,
		text: "",
		finish_reason: null,
		tool_calls: [],
		error: { kind: "lost", message: "the process that made this attempt died" },
		retry_after_ms: null,
		first_text_at: null,
	};
}
