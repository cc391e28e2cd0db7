import { CANCELLED } from "../../actors/actor.ts";
import type { ActorName, Draft, Entry } from "../../schemas/entry.ts";
import { isEnd } from "../../schemas/entry.ts";
import type { EventDraft } from "../../schemas/events/all.ts";
import { isConflict, type Log } from "../../subjects/log.ts";
import { behind } from "../bus/jetstream-log.ts";

/** Least time between two delta appends of one request, so that a cancel gets its turn (L9). */
export const DELTA_SPACING_MS = 20;

/**
 * Why a worker has to stop: the request ended, somebody else answered or took over, this process held the message too long
 * before it began, or leaves it because it stops.
 */
export type Halt = "ended" | "answered" | "superseded" | "stale" | "left";

/** Where a worker's appends go: one chain per message in hand, whatever number of asks it has. */
export type Chain = {
	/** Appends at the tail, unless `unless` says that the draft is not wanted any more; asked anew after every read (L3). */
	append(draft: Draft, unless: () => boolean): Promise<Entry | undefined>;
	/** What others wrote since; for the tick that finds a cancel whose push was lost. */
	look(): Promise<void>;
	/** Time of the last append or look. */
	seenAt(): number;
	/** Something of this message's answer was written by this process. */
	begun(): boolean;
};

type ChainOptions = {
	log: Log;
	after: Entry;
	/** An entry that somebody else wrote. */
	onMissed(entry: Entry): void;
	/** Whether a first append may still be made; afterwards the position decides (L8). */
	mayBegin(): boolean;
};

export function openChain({ log, after, onMissed, mayBegin }: ChainOptions): Chain {
	let last = after;
	let seenAt = performance.now();
	let begun = false;
	let queue: Promise<unknown> = Promise.resolve();

	const miss = (entries: readonly Entry[]) => {
		for (const entry of entries) {
			last = entry;
			onMissed(entry);
		}
	};
	const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
		const turn = queue.then(work, work);
		queue = turn.catch(() => {});
		return turn;
	};
	return {
		append: (draft, unless) =>
			inTurn(async () => {
				for (;;) {
					if ((!begun && !mayBegin()) || unless()) return undefined;
					const result = await log.append(draft, last);
					seenAt = performance.now();
					if (isConflict(result)) {
						miss(result.missed);
						continue;
					}
					begun = true;
					last = result;
					// The settling of a lost ack was a read as well: somebody may have taken over behind this entry.
					miss(behind(result));
					return result;
				}
			}),
		look: () =>
			inTurn(async () => {
				miss(await log.read(last, last.position));
				seenAt = performance.now();
			}),
		seenAt: () => seenAt,
		begun: () => begun,
	};
}

/** The answer to one ask, on its way into the log. */
export type AnswerWriter = {
	/** A text delta: written as soon as the append before it is there, together with what came meanwhile (L9). */
	delta(text: string): void;
	/** Any other events, behind the text so far, in one entry; resolves when they are in the log, with nothing when they are not wanted. */
	write(events: readonly EventDraft[]): Promise<Entry | undefined>;
	/** The last entry, with the text that was not sent. */
	finish(events: readonly EventDraft[]): Promise<void>;
	/** An entry of somebody else was found in the log. */
	missed(entry: Entry): void;
	halted(): Halt | undefined;
	/** Resolves when the writer is halted; rejects when a text could not be written. */
	over: Promise<undefined>;
	halt(reason: Halt): void;
	signal: AbortSignal;
};

type WriterOptions = {
	chain: Chain;
	actor: ActorName;
	cause: number;
	attempt: number;
	/** Milliseconds between two delta appends, now; never less than `DELTA_SPACING_MS`. */
	spacing?: () => number;
};

/** Delta appends that one process makes per second, over all of its answers: beyond that, they only make everybody late. */
const DELTAS_PER_SECOND = 1_000;

/** What keeps the answers of a process together below its share: many answers at once speak in longer words. */
export const spacingFor = (answers: number): number =>
	Math.max(DELTA_SPACING_MS, (answers * 1_000) / DELTAS_PER_SECOND);

export function openAnswer({
	chain,
	actor,
	cause,
	attempt: firstAttempt,
	spacing = () => DELTA_SPACING_MS,
}: WriterOptions): AnswerWriter {
	const abort = new AbortController();
	let halt: Halt | undefined;
	let attempt = firstAttempt;
	let text = "";
	let sentAt = Number.NEGATIVE_INFINITY;
	let sending: Promise<void> | undefined;
	let leaving = false;
	let wake = () => {};
	/** A delta could not be written: the work fails with it. */
	let failure: unknown;
	const over = Promise.withResolvers<undefined>();
	over.promise.catch(() => {});

	const stop = (reason: Halt) => {
		halt ??= reason;
		abort.abort(reason);
		over.resolve(undefined);
	};
	const takeText = (): EventDraft[] => {
		if (text === "") return [];
		const delta: EventDraft = { type: "output_text.delta", data: { text } };
		text = "";
		return [delta];
	};
	const draft = (events: readonly EventDraft[], final: boolean): Draft => ({
		audience: final ? "orchestration" : "stream",
		actor,
		cause,
		final,
		attempt,
		events,
	});
	const unwanted = () => halt !== undefined || abort.signal.aborted;

	/** Puts the text so far and the events into one entry; text that was not written waits for the next one. */
	async function put(events: readonly EventDraft[], final: boolean, unless: () => boolean): Promise<Entry | undefined> {
		const held = text;
		const written = await chain.append(draft([...takeText(), ...events], final), unless);
		if (!written) text = held + text;
		return written;
	}

	async function pump(): Promise<void> {
		// When another entry is about to take the text along, it stays.
		while (text !== "" && !unwanted() && !leaving) {
			const wait = sentAt + spacing() - performance.now();
			if (wait > 0) {
				await pause(wait);
				continue;
			}
			await put([], false, unwanted);
			sentAt = performance.now();
		}
		// In the same turn as the look at the text: what comes later starts a new one.
		sending = undefined;
	}

	/** Waits until no delta is on its way; text that still waits for its turn stays for the entry that comes now. */
	async function settled(): Promise<void> {
		leaving = true;
		wake();
		await sending;
		leaving = false;
		if (failure !== undefined) throw failure;
	}

	const pause = (ms: number): Promise<void> =>
		new Promise((resolve) => {
			const timer = setTimeout(resolve, ms);
			wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});

	return {
		delta(more) {
			text += more;
			if (text === "" || unwanted() || sending) return;
			sending = pump().catch((problem: unknown) => {
				failure = problem;
				abort.abort("failed");
				over.reject(problem);
			});
		},
		async write(events) {
			await settled();
			if (unwanted()) return undefined;
			for (const event of events)
				if (event.type === "inference.attempt_started" || event.type === "tool.started") attempt = event.data.attempt;
			return put(events, false, unwanted);
		},
		async finish(events) {
			await settled();
			if (halt || events.length === 0) return;
			await put(events, true, () => halt !== undefined);
		},
		missed(entry) {
			if (isEnd(entry)) return stop("ended");
			const ours = entry.actor === actor && entry.cause === cause;
			if (ours && entry.final) return stop("answered");
			if (ours) return stop("superseded");
			if (entry.events.some(({ type }) => type === "cancel.requested")) abort.abort(CANCELLED);
		},
		halted: () => halt,
		over: over.promise,
		halt: stop,
		signal: abort.signal,
	};
}
