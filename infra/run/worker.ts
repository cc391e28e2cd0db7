import { type Ask, attemptsBegun, type Worker } from "../../actors/actor.ts";
import type { Entry } from "../../schemas/entry.ts";
import { isEnd } from "../../schemas/entry.ts";
import type { EventDraft, EventType } from "../../schemas/events/all.ts";
import type { Log } from "../../subjects/log.ts";
import { type AnswerWriter, type Chain, type Halt, openAnswer, openChain } from "./answer.ts";

/** Attempts that may begin in the log, and deliveries that may come without one, before a message counts as poisoned (L8). */
export const MAX_ATTEMPTS = 4;
export const MAX_DELIVERIES = 10;

/** A message in a worker's hands. */
export type Work = {
	/** Reads what others wrote, when nothing was appended for a while (L7). */
	tick(): void;
	/**
	 * The message was not held for a while and may be somebody else's by now. What has not begun is dropped (L8); what has
	 * reads the log, and resolves with whether the message is still held.
	 */
	lapse(): Promise<boolean>;
	/** Lets go of the message: nothing more is appended, and it is not acked. */
	leave(): void;
	/** Whether the message may be acked; rejects when the work failed and a redelivery may mend it. */
	done: Promise<boolean>;
};

export type WorkContext = {
	log: Log;
	/** The message came before, or may have: the log is read before anything is done (L5). */
	redelivered: boolean;
	deliveries: number;
	/** Still within the time that the broker gives before it hands the message to somebody else. */
	held(): boolean;
	/** Milliseconds between two delta appends of one answer (L9). */
	spacing?: () => number;
};

/** Does what a message asks for, every ask by itself, all appends in one chain (L3, L5, L8, L9). */
export function work<Type extends EventType, Ports>(
	worker: Worker<Type, Ports>,
	ports: Ports,
	entry: Entry,
	context: WorkContext,
): Work {
	let chain: Chain | undefined;
	const writers: AnswerWriter[] = [];
	let dropped: Dropped | undefined;
	/** The message as a whole is not ours any more. */
	const drop = (reason: Dropped) => {
		dropped ??= reason;
		for (const writer of writers) writer.halt(reason);
	};

	async function run(): Promise<boolean> {
		const seen = context.redelivered && !isEnd(entry) ? await context.log.read(entry, entry.position) : [];
		if (seen.some(isEnd)) return true;
		chain = openChain({
			log: context.log,
			after: seen.at(-1) ?? entry,
			onMissed(missed) {
				for (const writer of writers) writer.missed(missed);
				// Who took over one ask holds the message, and with it every other ask.
				if (writers.some((writer) => writer.halted() === "superseded")) drop("superseded");
			},
			mayBegin() {
				if (!context.held()) drop("stale");
				return dropped === undefined;
			},
		});
		const cancels = seen.filter(({ events }) => events.some(({ type }) => type === "cancel.requested"));
		const open: (() => Promise<void>)[] = [];
		for (const ask of asksOf(worker, entry)) {
			const prior = seen.filter((earlier) => answers(worker, ask, earlier));
			if (prior.some(({ final }) => final)) continue;
			const begun = attemptsBegun(prior);
			const writer = openAnswer({
				chain,
				actor: worker.name,
				cause: ask.seq,
				attempt: begun + 1,
				...(context.spacing && { spacing: context.spacing }),
			});
			writers.push(writer);
			for (const cancel of cancels) writer.missed(cancel);
			const poison = poisonOf(begun, context.deliveries);
			// An end entry is not given up: it stays held until it is stored (L8).
			open.push(() =>
				poison && !isEnd(entry)
					? writer.finish(worker.abandon(ask, prior, poison))
					: perform(worker, ask, prior, ports, writer),
			);
		}
		if (dropped) drop(dropped);
		// One that fails does not take the others along: what they finish is not done again.
		const results = await Promise.allSettled(open.map((answer) => answer()));
		for (const result of results) if (result.status === "rejected") throw result.reason;
		// Not ours to ack when another process took over, or when the broker may already have given the message away (L5, L8).
		return writers.every((writer) => mayAck(writer.halted()));
	}

	return {
		tick() {
			if (!chain || performance.now() - chain.seenAt() < LOOK_AFTER_MS) return;
			// A failed look is no loss: the next append meets the same broker and says so.
			chain.look().catch(() => {});
		},
		async lapse() {
			if (!chain?.begun()) drop("stale");
			else await chain.look();
			return dropped === undefined;
		},
		leave: () => drop("left"),
		done: run(),
	};
}

type Dropped = Extract<Halt, "superseded" | "stale" | "left">;

function poisonOf(begun: number, deliveries: number): string | undefined {
	if (begun >= MAX_ATTEMPTS) return `${begun} attempts were begun and none of them ended`;
	if (begun === 0 && deliveries > MAX_DELIVERIES) return `${deliveries} deliveries brought no attempt`;
	return undefined;
}

const LOOK_AFTER_MS = 400;

const mayAck = (halt: Halt | undefined): boolean => halt === undefined || halt === "ended" || halt === "answered";

const answers = (worker: { name: string }, ask: { seq: number }, entry: Entry): boolean =>
	entry.actor === worker.name && entry.cause === ask.seq;

function asksOf<Type extends EventType>(worker: Worker<Type, never>, entry: Entry): Ask<Type>[] {
	const types: readonly string[] = worker.asks;
	return entry.events.flatMap((event) => (types.includes(event.type) ? [{ ...event, entry } as Ask<Type>] : []));
}

async function perform<Type extends EventType, Ports>(
	worker: Worker<Type, Ports>,
	ask: Ask<Type>,
	prior: readonly Entry[],
	ports: Ports,
	writer: AnswerWriter,
): Promise<void> {
	if (writer.halted()) return;
	const performing = worker.perform(ask, prior, ports, writer.signal);
	// A worker that does not listen to its signal is left alone once its work is not wanted any more.
	if (performing instanceof Promise) {
		const answer = await Promise.race([performing, writer.over]);
		return answer && writer.finish(answer);
	}
	try {
		let written: Entry | undefined;
		while (!writer.halted()) {
			const step = await Promise.race([performing.next(written), writer.over]);
			if (!step) return;
			if (step.done) return await writer.finish(step.value);
			const text = deltaText(step.value);
			if (text === undefined) written = await writer.write(step.value);
			else {
				writer.delta(text);
				written = undefined;
			}
		}
	} finally {
		// Lets it clear its timers; one that hangs will not answer, and is not waited for.
		performing.return([]).catch(() => {});
	}
}

/** The text of a yield that holds deltas only. */
function deltaText(events: readonly EventDraft[]): string | undefined {
	let text = "";
	for (const event of events) {
		if (event.type !== "output_text.delta") return undefined;
		text += event.data.text;
	}
	return events.length > 0 ? text : undefined;
}
