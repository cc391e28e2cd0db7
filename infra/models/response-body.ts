import type { Dispatcher } from "undici";

/** Bytes that wait for the reader before the socket is paused. */
const highWater = 65_536;
/** What may still come after the reader has enough, so that the connection can be used again. */
const drainBytes = 65_536;
const drainMs = 1_000;

export type ResponseBody = {
	push(chunk: Buffer): void;
	/** The response is over: `failure` is thrown after what was pushed before it. */
	end(failure?: Error): void;
	chunks: AsyncIterableIterator<Uint8Array>;
};

/**
 * The body of a response as an async iterator for one reader, with back-pressure on the socket.
 * A reader that returns early has seen all it needs: the rest is read and dropped, so that the
 * connection stays usable; what takes too long or too much is cut off.
 */
export function responseBody(controller: Dispatcher.DispatchController): ResponseBody {
	const queue: Buffer[] = [];
	let queued = 0;
	let over = false;
	let failure: Error | undefined;
	let draining = false;
	let drain: NodeJS.Timeout | undefined;
	let waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: Error): void } | undefined;
	const done: IteratorResult<Uint8Array> = { value: undefined, done: true };
	const cutOff = () => controller.abort(new Error("the rest of the response was not awaited"));

	const chunks: AsyncIterableIterator<Uint8Array> = {
		[Symbol.asyncIterator]: () => chunks,
		next: () => {
			const value = queue.shift();
			if (value !== undefined) {
				queued -= value.length;
				if (controller.paused && queued < highWater) controller.resume();
				return Promise.resolve({ value, done: false });
			}
			if (failure !== undefined) return Promise.reject(failure);
			if (over) return Promise.resolve(done);
			return new Promise((resolve, reject) => {
				waiting = { resolve, reject };
			});
		},
		return: () => {
			if (!over && !draining) {
				draining = true;
				queued = 0;
				queue.length = 0;
				drain = setTimeout(cutOff, drainMs).unref();
				if (controller.paused) controller.resume();
			}
			return Promise.resolve(done);
		},
	};

	return {
		chunks,
		push: (chunk) => {
			queued += chunk.length;
			if (draining) {
				if (queued > drainBytes) cutOff();
			} else if (waiting !== undefined) {
				queued -= chunk.length;
				const { resolve } = waiting;
				waiting = undefined;
				resolve({ value: chunk, done: false });
			} else {
				queue.push(chunk);
				if (queued >= highWater) controller.pause();
			}
		},
		end: (reason) => {
			over = true;
			failure = reason;
			clearTimeout(drain);
			if (waiting === undefined) return;
			const { resolve, reject } = waiting;
			waiting = undefined;
			if (reason === undefined) resolve(done);
			else reject(reason);
		},
	};
}
