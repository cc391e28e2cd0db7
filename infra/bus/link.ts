import { setTimeout as sleep } from "node:timers/promises";
import { createInbox, headers, type Msg, type MsgHdrs, type NatsConnection } from "nats";
import { CodedError } from "../../schemas/errors.ts";

/** The connection dropped, or the server did not answer: what was asked may have happened or not. */
export class LinkLost extends Error {}

/** One connection to the broker, with what the log needs beyond the client library: calls that fail at once when the connection drops. */
export type Link = {
	connection: NatsConnection;
	/** One answer. Rejects with `LinkLost` at a drop, a time-out, or when nobody serves the subject. */
	ask(subject: string, payload: Uint8Array | string, fields?: Readonly<Record<string, string>>): Promise<Msg>;
	/** Every message of a batch, until the server says that it is over. */
	collect(subject: string, payload: string): Promise<Msg[]>;
	/** Tries again while the broker is away, for at most `patienceMs`; then rejects with `log_unavailable`. */
	persist<T>(patienceMs: number, attempt: () => Promise<T>): Promise<T>;
	onReconnect(handle: () => void): Disposable;
	isUp(): boolean;
	close(): Promise<void>;
};

const ANSWER_MS = 5_000;
const RETRY_MS = 50;

/** Status codes that end a batch of direct gets: no (more) results, end of batch (ADR-31). */
const NO_RESULTS = 404;
const END_OF_BATCH = 204;
/** Nobody has subscribed to the subject. */
const NO_RESPONDERS = 503;

/** A call that waits for messages under its own token. */
type Waiting = { take(message: Msg): void; reject(problem: LinkLost): void; until: number };

/** How often calls without an answer are looked for. */
const SWEEP_MS = 250;

/**
 * Answers of all calls come on one subscription, told apart by a token. The client library's own `request` makes a timer
 * and an error with its stack for every call, and waits for its whole time-out when the connection drops.
 */
export function openLink(connection: NatsConnection): Link {
	const waiting = new Map<string, Waiting>();
	const reconnected = new Set<() => void>();
	const inbox = createInbox();
	let calls = 0;
	let up = true;

	connection.subscribe(`${inbox}.*`, {
		callback: (problem, message) => {
			if (!problem) waiting.get(message.subject.slice(inbox.length + 1))?.take(message);
		},
	});
	// Calls are kept in the order in which their time runs out.
	const sweeping = setInterval(() => {
		const now = performance.now();
		for (const [token, { until, reject }] of waiting) {
			if (until > now) return;
			waiting.delete(token);
			reject(new LinkLost(`no answer from the broker within ${ANSWER_MS} ms`));
		}
	}, SWEEP_MS);

	const drop = (reason: string) => {
		up = false;
		const lost = [...waiting.values()];
		waiting.clear();
		for (const { reject } of lost) reject(new LinkLost(reason));
	};
	const watching = (async () => {
		for await (const status of connection.status()) {
			if (status.type === "disconnect") drop("the connection to the broker dropped");
			if (status.type === "reconnect") {
				up = true;
				for (const handle of reconnected) handle();
			}
		}
		drop("the connection to the broker is closed");
	})();

	/** Publishes with a reply subject; `take` is called for every message that comes back and ends the call when it says so. */
	function call<T>(
		subject: string,
		payload: Uint8Array | string,
		fields: MsgHdrs | undefined,
		take: (message: Msg) => { value: T } | "more",
	): Promise<T> {
		return new Promise((resolve, reject) => {
			if (!up) {
				reject(new LinkLost("not connected to the broker"));
				return;
			}
			const token = String(++calls);
			waiting.set(token, {
				until: performance.now() + ANSWER_MS,
				reject,
				take(message) {
					try {
						const taken = take(message);
						if (taken === "more") return;
						waiting.delete(token);
						resolve(taken.value);
					} catch (problem) {
						waiting.delete(token);
						reject(problem);
					}
				},
			});
			try {
				connection.publish(subject, payload, { reply: `${inbox}.${token}`, ...(fields && { headers: fields }) });
			} catch (problem) {
				// The library refuses at once when the connection is closed for good.
				waiting.delete(token);
				reject(new LinkLost(problem instanceof Error ? problem.message : String(problem)));
			}
		});
	}

	const ask: Link["ask"] = (subject, payload, fields) => {
		const head = fields && headers();
		for (const [name, value] of Object.entries(fields ?? {})) head?.set(name, value);
		return call<Msg>(subject, payload, head, (message) => {
			if (message.data.length === 0 && message.headers?.code === NO_RESPONDERS)
				throw new LinkLost(`nobody serves ${subject}`);
			return { value: message };
		});
	};

	const collect: Link["collect"] = (subject, payload) => {
		const messages: Msg[] = [];
		return call<Msg[]>(subject, payload, undefined, (message) => {
			const code = message.headers?.code ?? 0;
			if (code === 0) {
				messages.push(message);
				return "more";
			}
			if (code === NO_RESULTS || code === END_OF_BATCH) return { value: messages };
			throw new LinkLost(`the broker answered ${code} ${message.headers?.description ?? ""} to ${subject}`);
		});
	};

	return {
		connection,
		ask,
		collect,
		async persist(patienceMs, attempt) {
			const end = performance.now() + patienceMs;
			for (;;) {
				try {
					return await attempt();
				} catch (problem) {
					if (!(problem instanceof LinkLost)) throw problem;
					if (performance.now() >= end || connection.isClosed()) {
						throw new CodedError(
							"log_unavailable",
							`the log cannot be reached (${problem.message}); try again in a few seconds`,
							2,
						);
					}
				}
				await sleep(RETRY_MS);
			}
		},
		onReconnect(handle) {
			reconnected.add(handle);
			return { [Symbol.dispose]: () => reconnected.delete(handle) };
		},
		isUp: () => up,
		async close() {
			clearInterval(sweeping);
			await connection.close();
			await watching;
		},
	};
}
