import { type Ask, attemptsBegun, type Worker } from "../../actors/actor.ts";
import type { Entry } from "../../schemas/entry.ts";
import { isEnd } from "../../schemas/entry.ts";
import type { EventDraft, EventType } from "../../schemas/events/all.ts";
import type { Log } from "../../subjects/log.ts";
import { type AnswerWriter, type Halt, openAnswer, openChain } from "./answer.ts";

/** Attempts that may begin in the log, and deliveries that may come without one, before a message counts as poisoned (L8). */
export const MAX_ATTEMPTS = 4;
export const MAX_DELIVERIES = 10;

/** A message in a worker's hands. */
export type Work = {
	/** Reads what others wrote, when nothing was appended for a while (L7). */
	tick(): void;
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
};

/** Does what a message asks for, every ask by itself, all appends in one chain (L3, L5, L8, L9). */
export function work<Type extends EventType, Ports>(
	worker: Worker<Type, Ports>,
	ports: Ports,
	entry: Entry,
	context: WorkContext,
): Work {
	let ticking: (() => Promise<void>) | undefined;
	const done = (async () => {
		const asks = asksOf(worker, entry);
		const seen = context.redelivered && !isEnd(entry) ? await context.log.read(entry, entry.position) : [];
		if (seen.some(isEnd)) return true;

		const writers: AnswerWriter[] = [];
		const chain = openChain(
			context.log,
			seen.at(-1) ?? entry,
			(missed) => {
				for (const writer of writers) writer.missed(missed);
			},
			context.held,
		);
		const open = asks.filter((ask) => !seen.some((earlier) => answers(worker, ask, earlier) && earlier.final));
		const cancelled = seen.filter(({ events }) => events.some(({ type }) => type === "cancel.requested"));
		const answered = open.map(async (ask) => {
			const prior = seen.filter((earlier) => answers(worker, ask, earlier));
			const begun = attemptsBegun(prior);
			const writer = openAnswer({ chain, actor: worker.name, cause: ask.seq, attempt: begun + 1 });
			writers.push(writer);
			for (const earlier of cancelled) writer.missed(earlier);
			const poisoned =
				begun >= MAX_ATTEMPTS
					? `${begun} attempts were begun and none of them ended`
					: begun === 0 && context.deliveries > MAX_DELIVERIES
						? `${context.deliveries} deliveries brought no attempt`
						: undefined;
			// An end entry is not given up: it stays held until it is stored (L8).
			if (poisoned && !isEnd(entry)) await writer.finish(worker.abandon(ask, prior, poisoned));
			else await perform(worker, ask, prior, ports, writer);
			return writer.halted();
		});
		ticking = async () => {
			if (performance.now() - chain.seenAt() >= LOOK_AFTER_MS) await chain.look();
		};
		const halts = await Promise.all(answered);
		// Not ours to ack when another process took over, or when the broker may already have given the message away (L5, L8).
		return halts.every((halt) => halt === undefined || mayAck(halt));
	})();
	return {
		tick: () => {
			// A failed look is no loss: the next append meets the same broker and says so.
			ticking?.().catch(() => {});
		},
		done,
	};
}

const LOOK_AFTER_MS = 400;

const mayAck = (halt: Halt): boolean => halt === "ended" || halt === "answered";

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
	const performance = worker.perform(ask, prior, ports, writer.signal);
	// A worker that does not listen to its signal is left alone once its work is not wanted any more.
	if (performance instanceof Promise) {
		const answer = await Promise.race([performance, writer.over]);
		return answer && writer.finish(answer);
	}
	let written: Entry | undefined;
	for (;;) {
		const step = await Promise.race([performance.next(written), writer.over]);
		if (!step) return;
		if (step.done) return writer.finish(step.value);
		const text = deltaText(step.value);
		if (text === undefined) written = await writer.write(step.value);
		else {
			writer.delta(text);
			written = undefined;
		}
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
