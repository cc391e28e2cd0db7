import type { Draft, Entry } from "../../../schemas/entry.ts";
import type { EventDraft } from "../../../schemas/events/all.ts";
import { stamp } from "../../../subjects/encoding.ts";
import { type Ask, CANCELLED } from "../../actor.ts";
import { type InferencePorts, inference } from "../inference.ts";
import { ProviderError, type ProviderPiece } from "../provider.ts";

/** What a call to the provider does: speaks, ends, fails, or is cancelled in between. */
export type Step = string | ProviderPiece | ProviderError | "cancel";

const price = { input: 1, cache_read: 0.5, cache_write: 1, output: 2 };
const at = (position: number, entry: Entry): Entry => ({ ...entry, position });
const stamped = (draft: Draft, after: Parameters<typeof stamp>[1], position: number): Entry =>
	at(position, stamp(draft, after, { id: `e${position}`, writer: "test", at: 0 }));

const address = { tenant: "acme", request: "r_aaaaaaaaaaaaaaaaaaaaaaaaaa", session: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa" };

/** The request for an answer; `chain` as "provider/model", five attempts in a minute. */
export function askFor(chain = ["one/small"], attempts = 5, deadline_at = 60_000): Ask<"inference.requested"> {
	const data = {
		prompt: [{ role: "user" as const, content: "hello" }],
		prompt_version: "v",
		sha256: "s",
		tools: [],
		chain: chain.map((link) => {
			const [provider = "", model = ""] = link.split("/");
			return { provider, model, price };
		}),
		budget: { attempts, deadline_at, max_output_tokens: 100 },
		context: {},
		dropped: {},
		prompt_tokens: 10,
		fallback_notice: "another model answers",
	};
	const event: EventDraft = { type: "inference.requested", data };
	const draft: Draft = {
		audience: "inference",
		actor: "orchestration",
		cause: 0,
		final: false,
		attempt: 0,
		events: [event],
	};
	return { type: "inference.requested", seq: 1, data, entry: stamped(draft, { address, trace: "" }, 1) };
}

/** Entries of an earlier attempt at `ask`, one per list of events, as the log holds them. */
export function priorOf(ask: Ask<"inference.requested">, ...entries: EventDraft[][]): Entry[] {
	let last = ask.entry;
	return entries.map((events) => {
		const draft: Draft = {
			audience: "stream",
			actor: "inference",
			cause: ask.seq,
			final: false,
			attempt: 1,
			events,
		};
		last = stamped(draft, last, last.position + 1);
		return last;
	});
}

/** Runs inference against a script: one list of steps per call. No clock: a wait moves the time on. */
export async function answer(
	ask: Ask<"inference.requested">,
	script: Step[][],
	{ prior = [], cancelInWait = false }: { prior?: Entry[]; cancelInWait?: boolean } = {},
) {
	const cancel = new AbortController();
	const calls: string[] = [];
	const waits: number[] = [];
	let time = 0;
	const ports: InferencePorts = {
		provider: (name) =>
			name === "missing"
				? undefined
				: {
						async *stream({ model }, _limits, signal) {
							const steps = script[calls.length] ?? [];
							calls.push(`${name}/${model}`);
							for (const step of steps) {
								if (step === "cancel") cancel.abort(CANCELLED);
								if (signal.aborted) throw new ProviderError("aborted", "the call was closed");
								if (step === "cancel") continue;
								if (step instanceof ProviderError) throw step;
								if (typeof step === "string") yield { type: "text", text: step };
								else yield step;
							}
						},
					},
		limits: { connect_ms: 1, headers_ms: 1, first_content_ms: 1, between_contents_ms: 1 },
		countTokens: async (text) => text.length,
		now: () => time,
		random: () => 1,
		async wait(ms) {
			waits.push(ms);
			time += ms;
			if (cancelInWait) cancel.abort(CANCELLED);
		},
	};
	const written: Entry[] = [];
	const put = (events: readonly EventDraft[], final: boolean): Entry => {
		const after = written.at(-1) ?? prior.at(-1) ?? ask.entry;
		const audience = final ? "orchestration" : "stream";
		const draft: Draft = { audience, actor: "inference", cause: ask.seq, final, attempt: 1, events };
		const entry = stamped(draft, after, after.position + 1);
		written.push(entry);
		return entry;
	};
	const performing = inference.perform(ask, prior, ports, cancel.signal);
	if (performing instanceof Promise) throw new Error("inference is expected to tell of its way");
	let given: Entry | undefined;
	for (;;) {
		const step = await performing.next(given);
		if (step.done) {
			put(step.value, true);
			return { written, calls, waits };
		}
		const isText = step.value.every(({ type }) => type === "output_text.delta");
		// As the runner does it: a cancelled request gets nothing but its final entry.
		given = cancel.signal.aborted ? undefined : put(step.value, false);
		if (isText) given = undefined;
	}
}

export const end = (more: Partial<Extract<ProviderPiece, { type: "end" }>> = {}): ProviderPiece => ({
	type: "end",
	finish_reason: "stop",
	tool_calls: [],
	tokens: { uncached_input: 12, cache_read: 0, cache_write: 0, output: 3, reasoning: 0 },
	...more,
});
export const failure = (kind: ProviderError["kind"], retryAfterMs?: number): ProviderError =>
	new ProviderError(kind, `the provider said ${kind}`, retryAfterMs);

/** What a client reads in the end: deltas in order, without those that were retracted. */
export function visibleText(entries: readonly Entry[]): string {
	let deltas: { seq: number; text: string }[] = [];
	for (const event of entries.flatMap(({ events }) => events)) {
		if (event.type === "output_text.delta") deltas.push({ seq: event.seq, text: event.data.text });
		if (event.type === "output_text.retracted") deltas = deltas.filter(({ seq }) => seq < event.data.from_seq);
	}
	return deltas.map(({ text }) => text).join("");
}
