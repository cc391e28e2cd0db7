import { parentPort, type Transferable, Worker } from "node:worker_threads";

/** What a thread answers: by name, one argument in, one value (or its promise) out. Both must be structured-cloneable. */
export type Handlers = { [name: string]: (argument: never) => unknown };

export type Thread<Calls extends Handlers> = {
	/** Starts the thread when it is not running. Rejects with the thrown message, or when the thread dies meanwhile. */
	call<Name extends keyof Calls & string>(
		name: Name,
		argument: Parameters<Calls[Name]>[0],
		transfer?: Transferable[],
	): Promise<Awaited<ReturnType<Calls[Name]>>>;
	/** Lets the calls under way finish, runs the thread's own clean-up, then ends it. Later calls reject. */
	close(): Promise<void>;
};

type Ask = { id: number; name: string; argument: unknown };
type Answer = { id: number; value: unknown } | { id: number; error: string };
type Waiting = { resolve(value: unknown): void; reject(reason: Error): void };

/** Name of the message that ends a thread; no handler may have it. */
const END = "close";

/**
 * A worker thread that exists only once it is needed: an idle process pays nothing for it. While no call is under way
 * it does not keep the process alive. A thread that dies fails the calls it held; the next call starts another.
 */
export function openThread<Calls extends Handlers>(file: URL, data: unknown): Thread<Calls> {
	const waiting = new Map<number, Waiting>();
	let worker: Worker | undefined;
	let calls = 0;
	let closing: Promise<void> | undefined;
	const label = file.pathname.split("/").at(-1);

	const settle = (answer: Answer): void => {
		const call = waiting.get(answer.id);
		waiting.delete(answer.id);
		if (waiting.size === 0) worker?.unref();
		if ("error" in answer) call?.reject(new Error(answer.error));
		else call?.resolve(answer.value);
	};

	const start = (): Worker => {
		// The flags of the parent (a test runner's loaders among them) are not the thread's.
		const started = new Worker(file, { workerData: data, execArgv: [] });
		let cause = "it ended by itself";
		started.on("message", settle);
		started.on("error", (error) => {
			cause = error instanceof Error ? error.message : String(error);
		});
		started.on("exit", () => {
			if (worker === started) worker = undefined;
			const lost = [...waiting.values()];
			waiting.clear();
			for (const call of lost) {
				call.reject(new Error(`The thread ${label} stopped: ${cause}. The next call starts it anew.`));
			}
		});
		return started;
	};

	const send = (name: string, argument: unknown, transfer: Transferable[]): Promise<unknown> => {
		worker ??= start();
		const running = worker;
		const id = ++calls;
		return new Promise((resolve, reject) => {
			// Throws, and so rejects, when the argument cannot be cloned; then nothing is waiting.
			running.postMessage({ id, name, argument } satisfies Ask, transfer);
			waiting.set(id, { resolve, reject });
			running.ref();
		});
	};

	const end = async (): Promise<void> => {
		if (worker === undefined) return;
		const running = worker;
		// The thread answers in order, so this answer comes after those of all calls under way.
		// A thread that dies before it has nothing left to clean up: its files are closed with it.
		await send(END, undefined, []).catch(() => undefined);
		await running.terminate();
	};

	return {
		call<Name extends keyof Calls & string>(name: Name, argument: unknown, transfer: Transferable[] = []) {
			if (closing !== undefined) return Promise.reject(new Error(`The thread ${label} is closed; open another.`));
			return send(name, argument, transfer) as Promise<Awaited<ReturnType<Calls[Name]>>>;
		},
		close() {
			closing ??= end();
			return closing;
		},
	};
}

/**
 * The thread's side: answers one call after the other, in the order in which they came. `cleanUp` runs last.
 * An answer that is a typed array is handed over without a copy.
 */
export function serveThread(handlers: Handlers, cleanUp: () => void): void {
	const port = parentPort;
	if (port === null)
		throw new Error("serveThread is expected to run in a worker thread; start this file with openThread.");
	const reply = async ({ id, name, argument }: Ask): Promise<void> => {
		try {
			if (name === END) cleanUp();
			const value: unknown = name === END ? undefined : await handlers[name]?.(argument as never);
			port.postMessage(
				{ id, value } satisfies Answer,
				value instanceof Float32Array ? [value.buffer as ArrayBuffer] : [],
			);
		} catch (error) {
			port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies Answer);
		}
	};
	let last: Promise<void> = Promise.resolve();
	port.on("message", (ask: Ask) => {
		last = last.then(() => reply(ask));
	});
}
