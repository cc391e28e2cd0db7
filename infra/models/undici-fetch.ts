import { Agent, type Dispatcher } from "undici";
import { type ResponseBody, responseBody } from "./response-body.ts";

/**
 * Control over one call, handed through the `openai` package in `fetchOptions.client`:
 * the one member of its options that it passes on as it is.
 */
export type FetchControl = {
	/** The request is on its way over a standing connection, a new one or one kept from before. */
	onConnected(): void;
	/** Aborting ends the call in every phase and closes its socket; its reason is what the call fails with. */
	signal: AbortSignal;
};

/** What the `openai` package reads of a response. */
type ResponseLike = Pick<Response, "ok" | "status" | "statusText" | "url"> & {
	headers: { get(name: string): string | null; entries(): IterableIterator<[string, string]> };
	body: AsyncIterable<Uint8Array>;
	text(): Promise<string>;
	json(): Promise<unknown>;
};

function controlIn(init: RequestInit): FetchControl | undefined {
	const options: RequestInit & { client?: FetchControl } = init;
	return options.client;
}

function headersOf(raw: Record<string, string | string[] | undefined>): ResponseLike["headers"] {
	const get = (name: string) => {
		const value = raw[name.toLowerCase()];
		return value === undefined ? null : Array.isArray(value) ? value.join(", ") : value;
	};
	return {
		get,
		entries: () =>
			Object.keys(raw)
				.map((name): [string, string] => [name, get(name) ?? ""])
				.values(),
	};
}

/** A header bag as a plain record; a `Headers` object is what the `openai` package passes. */
function requestHeaders(headers: RequestInit["headers"]): Record<string, string> {
	return Object.fromEntries(headers instanceof Headers ? headers : new Headers(headers));
}

/** Connections to model providers, kept alive and shared by every provider of the process. Time limits are the caller's. */
export function modelConnections(): Dispatcher {
	return new Agent({ keepAliveTimeout: 30_000, connect: { timeout: 60_000 }, headersTimeout: 0, bodyTimeout: 0 });
}

/**
 * A `fetch` for the `openai` package on undici's dispatcher: GET and POST with a text body, answered by status,
 * headers and a body to iterate over. It leaves out web streams and their bookkeeping, which cost more than the call.
 * Rejects with the transport's own error, or with the reason of the signal that aborted it.
 */
export function undiciFetch(
	connections: Dispatcher,
): (url: string | URL | Request, init?: RequestInit) => Promise<Response> {
	return (target, init = {}) =>
		new Promise((resolve, reject) => {
			const url = target instanceof Request ? target.url : String(target);
			const { origin, pathname, search } = new URL(url);
			const { body = null } = init;
			if (body !== null && typeof body !== "string") {
				throw new TypeError(`fetch of ${origin}${pathname}: expected a text body, got ${typeof body}`);
			}
			const control = controlIn(init);
			const signals = [control?.signal, init.signal].filter((signal) => signal != null);
			let connection: Dispatcher.DispatchController | undefined;
			let received: ResponseBody | undefined;

			const end = (failure?: Error) => {
				for (const signal of signals) signal.removeEventListener("abort", abort);
				if (received !== undefined) received.end(failure);
				else if (failure !== undefined) reject(failure);
			};
			// Reported before the socket is closed: while it is connecting there is nobody else to report it.
			const abort = () => {
				const reason: unknown = signals.find((signal) => signal.aborted)?.reason;
				const failure = reason instanceof Error ? reason : new DOMException("The call was aborted", "AbortError");
				end(failure);
				connection?.abort(failure);
			};
			for (const signal of signals) signal.addEventListener("abort", abort);
			if (signals.some((signal) => signal.aborted)) return abort();

			const path = pathname + search;
			const method = init.method === "POST" ? "POST" : "GET";
			connections.dispatch(
				{ origin, path, method, headers: requestHeaders(init.headers), body },
				{
					onRequestStart: (controller) => {
						connection = controller;
						if (signals.some((signal) => signal.aborted)) abort();
						else control?.onConnected();
					},
					onResponseStart: (controller, status, headers, statusText = "") => {
						if (status < 200) return;
						received = responseBody(controller);
						const { chunks } = received;
						const text = async () => Buffer.concat(await Array.fromAsync(chunks)).toString();
						const response: ResponseLike = {
							ok: status < 300,
							status,
							statusText,
							url,
							headers: headersOf(headers),
							body: chunks,
							text,
							json: async () => JSON.parse(await text()),
						};
						resolve(response as Response);
					},
					onResponseData: (_, chunk) => received?.push(chunk),
					onResponseEnd: () => end(),
					onResponseError: (_, error) => end(error),
				},
			);
		});
}
