import type { Decider, Observer, Worker } from "../actors/actor.ts";
import type { Entry } from "../schemas/entry.ts";
import type { EventType } from "../schemas/events/all.ts";
import { ACK_WAIT_MS, LOG_STREAM, TIMER_STREAM, WORKING_MS } from "../subjects/catalog.ts";
import { decode } from "../subjects/encoding.ts";
import type { Log } from "../subjects/log.ts";
import type { Link } from "./bus/link.ts";
import type { Logger } from "./log.ts";
import { spacingFor } from "./run/answer.ts";
import { type DecidingContext, deciding } from "./run/decider.ts";
import { type Delivery, type Pulling, pull } from "./run/pull.ts";
import { fire } from "./run/timers.ts";
import { work } from "./run/worker.ts";

export type RunContext = Omit<DecidingContext, "log"> & {
	link: Link;
	/** A log that sets timers before it appends. */
	log: Log;
	slots: number;
	logger: Logger;
};

/** Something that runs until it is stopped; stopping hands back what has not begun, and finishes or leaves the rest within `GRACE_MS`. */
export type Running = { stop(): Promise<void> };

/** How long a stop waits for handlers that run; a process has about 8 s for all of its end. */
const GRACE_MS = 5_000;

/** What a handler makes of its message while it holds it. */
type Handling = {
	/** Whether the message may be acked. */
	done: Promise<boolean>;
	/** Called every half second (L7). */
	tick?(): void;
	/** The broker may have given the message away; resolves with whether it is still held. Without it, holding it longer does no harm. */
	lapse?(): Promise<boolean>;
	/** The process stops: nothing more may come of the message. */
	leave?(): void;
};

/** A message in hand, as long as it is. `touchedAt`: when the broker was last told so, or gave it to us. */
type Held = { delivery: Delivery; touchedAt: number; handling: Handling | undefined; asking: boolean };

const lapsed = (one: Held): boolean => performance.now() - one.touchedAt > ACK_WAIT_MS;

/**
 * The messages that this process holds of one consumer. A message says every half second that it is worked on; one that
 * comes again while it is held is only told so (L7), and nothing is sent for one that is let go (L5).
 */
function holding(link: Link, logger: Logger) {
	const held = new Map<number, Held>();
	let left = false;

	const touch = (one: Held) => {
		one.delivery.working();
		one.touchedAt = performance.now();
	};
	/** A process that stood still must not claim what another one may have taken over meanwhile: it asks the log first. */
	const ask = async (one: Held, lapse: () => Promise<boolean>) => {
		if (one.asking) return;
		one.asking = true;
		try {
			if ((await lapse()) && held.get(one.delivery.position) === one && !left) touch(one);
		} catch (problem) {
			logger.warn(
				{ err: problem, position: one.delivery.position },
				"log cannot be read, asked again at the next tick",
			);
		} finally {
			one.asking = false;
		}
	};
	const ticker = setInterval(() => {
		// What is sent now would be lost, and the time that the broker counts goes on.
		if (!link.isUp()) return;
		for (const one of held.values()) {
			const lapse = one.handling?.lapse;
			if (lapse && lapsed(one)) void ask(one, lapse);
			else {
				touch(one);
				one.handling?.tick?.();
			}
		}
	}, WORKING_MS);

	return {
		/** Runs `handle` while the message is held; acks when it says so. */
		async hold(delivery: Delivery, handle: (delivery: Delivery, isHeld: () => boolean) => Handling): Promise<void> {
			const before = held.get(delivery.position);
			if (before) {
				before.delivery = delivery;
				return touch(before);
			}
			const one: Held = { delivery, touchedAt: performance.now(), handling: undefined, asking: false };
			held.set(delivery.position, one);
			try {
				one.handling = handle(delivery, () => !lapsed(one));
				const mayAck = await one.handling.done;
				if (mayAck && !left) one.delivery.ack();
			} catch (problem) {
				// Neither ack nor nak: the broker gives it to somebody again when the ack wait is over.
				const { subject, position, deliveries } = one.delivery;
				if (!left) logger.error({ err: problem, subject, position, deliveries }, "handler failed");
			} finally {
				held.delete(delivery.position);
			}
		},
		/** Lets go of everything that is still held, without a word to the broker: others get it after the ack wait. */
		leave() {
			left = true;
			clearInterval(ticker);
			for (const one of held.values()) one.handling?.leave?.();
		},
	};
}

function consume(
	context: RunContext,
	stream: string,
	durable: string,
	handle: (delivery: Delivery, isHeld: () => boolean) => Handling,
): Running {
	const { link, slots, logger } = context;
	const holds = holding(link, logger);
	const pulling: Pulling = pull({
		link,
		stream,
		durable,
		slots,
		handle: (delivery) => holds.hold(delivery, handle),
	});
	return {
		async stop() {
			await pulling.stop(GRACE_MS);
			holds.leave();
		},
	};
}

const entryOf = ({ subject, position, data }: Delivery): Entry => decode(subject, position, data);

const redelivered = ({ deliveries }: Delivery): boolean => deliveries > 1;

export function runWorker<Type extends EventType, Ports>(
	worker: Worker<Type, Ports>,
	ports: Ports,
	context: RunContext,
): Running {
	let live = 0;
	const spacing = () => spacingFor(live);
	return consume(context, LOG_STREAM, worker.name, (delivery, held) => {
		const { deliveries } = delivery;
		const how = { log: context.log, redelivered: redelivered(delivery), deliveries, held, spacing };
		const begun = work(worker, ports, entryOf(delivery), how);
		live += 1;
		const over = () => {
			live -= 1;
		};
		begun.done.then(over, over);
		return begun;
	});
}

export function runDecider<State>(decider: Decider<State>, context: RunContext): Running {
	const decides = deciding(decider, context);
	return consume(context, LOG_STREAM, decider.name, (delivery) => {
		const { deliveries } = delivery;
		return { done: yes(decides.hear(entryOf(delivery), { redelivered: redelivered(delivery), deliveries })) };
	});
}

export function runObserver(observer: Observer, context: RunContext): Running {
	return consume(context, LOG_STREAM, observer.name, (delivery) => ({
		done: yes(observer.observe(entryOf(delivery))),
	}));
}

/** Writes due timers into the logs of their requests (L10). */
export function runTimers(context: RunContext): Running {
	return consume(context, TIMER_STREAM, "timers", (delivery) => ({ done: fire(context.log, delivery, Date.now()) }));
}

/** What has run to its end may be acked. */
const yes = (work: Promise<void>): Promise<boolean> => work.then(() => true);
