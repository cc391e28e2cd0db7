import { setTimeout as sleep } from "node:timers/promises";
import { createInbox, headers, type Msg, type NatsConnection } from "nats";
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

export function openLink(connection: NatsConnection): Link {
	const pending = new Set<(problem: LinkLost) => void>();
	const reconnected = new Set<() => void>();
	let up = true;

	const drop = (reason: string) => {
		up = false;
		for (const reject of pending) reject(new LinkLost(reason));
		pending.clear();
	};
	// The library lets a call in flight wait for its whole time-out when the connection drops.
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

	/** Runs `start` with callbacks of which one has to be called; a drop rejects. */
	const call = <T>(start: (resolve: (value: T) => void, reject: (problem: Error) => void) => () => void): Promise<T> =>
		new Promise<T>((resolve, reject) => {
			if (!up) {
				reject(new LinkLost("not connected to the broker"));
				return;
			}
			const finish = () => {
				pending.delete(lost);
				clearTimeout(timer);
				stop();
			};
			const lost = (problem: Error) => {
				finish();
				reject(problem);
			};
			const timer = setTimeout(() => lost(new LinkLost(`no answer from the broker within ${ANSWER_MS} ms`)), ANSWER_MS);
			pending.add(lost);
			const stop = start((value) => {
				finish();
				resolve(value);
			}, lost);
		});

	const ask: Link["ask"] = (subject, payload, fields) => {
		const head = headers();
		for (const [name, value] of Object.entries(fields ?? {})) head.set(name, value);
		return call<Msg>((resolve, reject) => {
			connection
				.request(subject, payload, { timeout: ANSWER_MS + 1_000, headers: head })
				.then(resolve, (problem: Error) => {
					reject(new LinkLost(problem.message));
				});
			return () => {};
		});
	};

	const collect: Link["collect"] = (subject, payload) =>
		call<Msg[]>((resolve, reject) => {
			const inbox = createInbox();
			const messages: Msg[] = [];
			const subscription = connection.subscribe(inbox, {
				callback: (problem, message) => {
					if (problem) return reject(new LinkLost(problem.message));
					const code = message.headers?.code ?? 0;
					if (code === 0) {
						messages.push(message);
						return;
					}
					if (code === NO_RESULTS || code === END_OF_BATCH) return resolve(messages);
					reject(new LinkLost(`the broker answered ${code} ${message.headers?.description ?? ""} to ${subject}`));
				},
			});
			connection.publish(subject, payload, { reply: inbox });
			return () => subscription.unsubscribe();
		});

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
			await connection.close();
			await watching;
		},
	};
}
