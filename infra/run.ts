import type { Decider, Observer, Worker } from "../actors/actor.ts";
import type { EventType } from "../schemas/events/all.ts";
import { ACK_WAIT_MS, LOG_STREAM, TIMER_STREAM, WORKING_MS } from "../subjects/catalog.ts";
import { decode } from "../subjects/encoding.ts";
import type { Log } from "../subjects/log.ts";
import type { Link } from "./bus/link.ts";
import type { Logger } from "./log.ts";
import { type DecidingContext, deciding } from "./run/decider.ts";
import { type Delivery, type Pulling, pull } from "./run/pull.ts";
import { fire } from "./run/timers.ts";
import { type Work, work } from "./run/worker.ts";

export type RunContext = Omit<DecidingContext, "log"> & {
	link: Link;
	/** A log that sets timers before it appends. */
	log: Log;
	slots: number;
	logger: Logger;
};

/** Something that runs until it is stopped; stopping hands back what has not begun and waits for the rest. */
export type Running = { stop(): Promise<void> };

/** A message in hand, as long as it is. */
type Held = { delivery: Delivery; touchedAt: number; tick: () => void };

/**
 * The messages that this process holds of one consumer. A message says every half second that it is worked on; one that
 * comes again while it is held is only told so (L7), and nothing is sent for one that is let go (L5).
 */
function holding(logger: Logger) {
	const held = new Map<number, Held>();
	const ticker = setInterval(() => {
		for (const one of held.values()) {
			one.delivery.working();
			one.touchedAt = performance.now();
			one.tick();
		}
	}, WORKING_MS);
	return {
		/** Runs `handle` while the message is held; acks when it says so. */
		async hold(delivery: Delivery, handle: (one: Held) => Promise<boolean>): Promise<void> {
			const before = held.get(delivery.position);
			if (before) return before.delivery.working();
			const one: Held = { delivery, touchedAt: performance.now(), tick: () => {} };
			held.set(delivery.position, one);
			try {
				if (await handle(one)) delivery.ack();
			} catch (problem) {
				// Neither ack nor nak: the broker gives it to somebody again when the ack wait is over.
				logger.error(
					{ err: problem, subject: delivery.subject, position: delivery.position, deliveries: delivery.deliveries },
					"handler failed",
				);
			} finally {
				held.delete(delivery.position);
			}
		},
		stop: () => clearInterval(ticker),
	};
}

const stillHeld = (one: Held): boolean => performance.now() - one.touchedAt <= ACK_WAIT_MS;

function consume(
	context: RunContext,
	stream: string,
	durable: string,
	handle: (delivery: Delivery, one: Held) => Promise<boolean>,
): Running {
	const holds = holding(context.logger);
	const pulling: Pulling = pull({
		link: context.link,
		stream,
		durable,
		slots: context.slots,
		handle: (delivery) => holds.hold(delivery, (one) => handle(delivery, one)),
	});
	return {
		async stop() {
			await pulling.stop();
			holds.stop();
		},
	};
}

const redelivered = ({ deliveries }: Delivery): boolean => deliveries > 1;

export function runWorker<Type extends EventType, Ports>(
	worker: Worker<Type, Ports>,
	ports: Ports,
	context: RunContext,
): Running {
	return consume(context, LOG_STREAM, worker.name, async (delivery, one) => {
		const entry = decode(delivery.subject, delivery.position, delivery.data);
		const begun: Work = work(worker, ports, entry, {
			log: context.log,
			redelivered: redelivered(delivery),
			deliveries: delivery.deliveries,
			held: () => stillHeld(one),
		});
		one.tick = begun.tick;
		return begun.done;
	});
}

export function runDecider<State>(decider: Decider<State>, context: RunContext): Running {
	const decides = deciding(decider, context);
	return consume(context, LOG_STREAM, decider.name, async (delivery) => {
		const entry = decode(delivery.subject, delivery.position, delivery.data);
		await decides.hear(entry, { redelivered: redelivered(delivery), deliveries: delivery.deliveries });
		return true;
	});
}

export function runObserver(observer: Observer, context: RunContext): Running {
	return consume(context, LOG_STREAM, observer.name, async (delivery) => {
		await observer.observe(decode(delivery.subject, delivery.position, delivery.data));
		return true;
	});
}

/** Writes due timers into the logs of their requests (L10). */
export function runTimers(context: RunContext): Running {
	return consume(context, TIMER_STREAM, "timers", async (delivery) => {
		await fire(context.log, delivery, Date.now());
		return true;
	});
}
