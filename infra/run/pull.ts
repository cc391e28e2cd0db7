import { createInbox, type Msg, type Subscription } from "nats";
import type { Link } from "../bus/link.ts";

/** One message that this process holds until it is acked, handed back, or dropped. */
export type Delivery = {
	subject: string;
	data: Uint8Array;
	/** Sequence in its stream. */
	position: number;
	/** Counts deliveries, as a lower bound: a restarted broker begins again at 1 (L8). */
	deliveries: number;
	ack(): void;
	/** Still at work on it. */
	working(): void;
	/** Hands back what has not begun. */
	handBack(): void;
};

const EXPIRES_MS = 5_000;
const NANOSECONDS_PER_MS = 1_000_000;
const REQUEST_TIMEOUT = 408;
const REFUSED_PAUSE_MS = 200;
const ACK = "+ACK";
const NAK = "-NAK";
const WORKING = "+WPI";

/** Beyond the expiry of a pull and its answer's way: whatever was asked for is lost. */
const WATCHDOG_MS = EXPIRES_MS + 2_000;

export type PullOptions = {
	link: Link;
	stream: string;
	durable: string;
	/** Messages that this process works on at once. */
	slots: number;
	handle(delivery: Delivery): Promise<void>;
};

/**
 * `stop` hands back what arrives from now on, and resolves when every handler has ended, or after `graceMs` when one has not.
 */
export type Pulling = { stop(graceMs: number): Promise<void> };

/**
 * Pulls exactly as many messages as there are free slots (L7). The client library's own `consume` asks for more as soon as
 * messages arrive, not when they are done, and so hoards work that other processes could do.
 */
export function pull({ link, stream, durable, slots, handle }: PullOptions): Pulling {
	const { connection } = link;
	const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`;
	const running = new Set<Promise<void>>();
	let inbox = "";
	let subscription: Subscription | undefined;
	let requested = 0;
	let stopped = false;
	let heardAt = 0;
	let pausing: NodeJS.Timeout | undefined;

	const request = () => {
		const free = slots - running.size - requested;
		// A pull for every freed slot would double the traffic: wait until a quarter is free, unless nothing is asked for.
		if (stopped || pausing || !link.isUp() || free < 1 || (requested > 0 && free < slots / 4)) return;
		if (requested === 0) heardAt = performance.now();
		requested += free;
		connection.publish(subject, JSON.stringify({ batch: free, expires: EXPIRES_MS * NANOSECONDS_PER_MS }), {
			reply: inbox,
		});
	};

	const take = (message: Msg) => {
		requested = Math.max(0, requested - 1);
		const { deliveries, position } = deliveryOf(message.reply ?? "");
		const delivery: Delivery = {
			subject: message.subject,
			data: message.data,
			position,
			deliveries,
			ack: () => message.respond(ACK),
			working: () => message.respond(WORKING),
			handBack: () => message.respond(NAK),
		};
		// A pull that was taken for lost may still deliver.
		if (stopped || running.size >= slots) {
			delivery.handBack();
			return;
		}
		const work = handle(delivery).finally(() => {
			running.delete(work);
			request();
		});
		running.add(work);
	};

	/** A pull is over: what it did not deliver is free again. */
	const end = (status: number, undelivered: string | undefined) => {
		requested = undelivered ? Math.max(0, requested - Number(undelivered)) : 0;
		if (status === REQUEST_TIMEOUT) return;
		// Nobody serves the consumer just now; asking again at once would only be refused again.
		pausing ??= setTimeout(() => {
			pausing = undefined;
			request();
		}, REFUSED_PAUSE_MS);
	};

	/** Pulls of an earlier connection must not deliver into this one: an inbox without a listener ends them. */
	const listen = () => {
		subscription?.unsubscribe();
		requested = 0;
		inbox = createInbox();
		subscription = connection.subscribe(inbox, {
			callback: (problem, message) => {
				if (problem) return;
				heardAt = performance.now();
				const status = message.headers?.code ?? 0;
				if (status === 0) take(message);
				else end(status, message.headers?.get("Nats-Pending-Messages"));
				request();
			},
		});
		request();
	};
	const reconnect = link.onReconnect(listen);
	const watchdog = setInterval(() => {
		if (requested > 0 && performance.now() - heardAt > WATCHDOG_MS) requested = 0;
		request();
	}, 1_000);
	listen();

	return {
		async stop(graceMs) {
			stopped = true;
			clearInterval(watchdog);
			clearTimeout(pausing);
			reconnect[Symbol.dispose]();
			// Nobody can be told anything any more.
			if (connection.isClosed()) return;
			// First of all nothing more may come: a message that is handed back to a broker which still knows our pull comes right
			// back, and each time counts as a delivery. What is on its way already is handed back once.
			const drained = subscription?.drain().catch(() => {});
			const ended = Promise.allSettled([drained, ...running]);
			const grace = Promise.withResolvers<void>();
			const timer = setTimeout(grace.resolve, graceMs);
			await Promise.race([ended, grace.promise]);
			clearTimeout(timer);
		},
	};
}

/**
 * Reads the ack subject (ADR-15): `$JS.ACK.[<domain>.<account hash>.]<stream>.<consumer>.<deliveries>.<position>.…`,
 * with the bracketed part on servers that have domains, and then perhaps a random token at the end.
 */
function deliveryOf(reply: string): { deliveries: number; position: number } {
	const tokens = reply.split(".");
	const at = tokens.length >= 11 ? 6 : 4;
	return { deliveries: Number(tokens[at]), position: Number(tokens[at + 1]) };
}
