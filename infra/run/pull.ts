import { createInbox, type Msg } from "nats";
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

/** Resolves when nothing is pulled any more and every handler has ended. */
export type Pulling = { stop(): Promise<void> };

/**
 * Pulls exactly as many messages as there are free slots (L7). The client library's own `consume` asks for more as soon as
 * messages arrive, not when they are done, and so hoards work that other processes could do.
 */
export function pull({ link, stream, durable, slots, handle }: PullOptions): Pulling {
	const { connection } = link;
	const inbox = createInbox();
	const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`;
	const running = new Set<Promise<void>>();
	let requested = 0;
	let stopped = false;
	let heardAt = performance.now();

	const request = () => {
		const free = slots - running.size - requested;
		// A pull for every freed slot would double the traffic: wait until a quarter is free, unless nothing is asked for.
		if (stopped || free < 1 || (requested > 0 && free < slots / 4)) return;
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
		if (stopped) {
			delivery.handBack();
			return;
		}
		const work = handle(delivery).finally(() => {
			running.delete(work);
			request();
		});
		running.add(work);
	};

	const subscription = connection.subscribe(inbox, {
		callback: (problem, message) => {
			if (problem) return;
			heardAt = performance.now();
			if ((message.headers?.code ?? 0) === 0) take(message);
			else {
				// The pull is over: what it did not deliver is free again.
				const undelivered = message.headers?.get("Nats-Pending-Messages");
				requested = undelivered ? Math.max(0, requested - Number(undelivered)) : 0;
			}
			request();
		},
	});
	// What was asked for before a reconnect is asked of nobody.
	const reconnect = link.onReconnect(() => {
		requested = 0;
		request();
	});
	const watchdog = setInterval(() => {
		if (requested > 0 && performance.now() - heardAt > WATCHDOG_MS) requested = 0;
		request();
	}, 1_000);
	request();

	return {
		async stop() {
			stopped = true;
			clearInterval(watchdog);
			reconnect[Symbol.dispose]();
			await Promise.allSettled(running);
			subscription.unsubscribe();
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
