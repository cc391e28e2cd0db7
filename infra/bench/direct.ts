import { Agent } from "undici";
import type { Requester } from "./through.ts";

/** The first piece of text in a stream of chat completion chunks; servers send an empty one before. */
const TEXT = /"content":"[^"]/;
const DONE = "data: [DONE]";

/** Calls the provider as the server does, over undici and kept connections, with as little on top as can be. */
export function openDirect(provider: string): Requester {
	const agent = new Agent({ keepAliveTimeout: 30_000, headersTimeout: 0, bodyTimeout: 0 });
	return {
		request: (input) =>
			new Promise((resolve) => {
				const sentAt = performance.now();
				let firstAt = 0;
				let tail = "";
				let status = 0;
				const settle = (fault?: string) =>
					resolve({ sentAt, firstAt, endedAt: performance.now(), ...(fault !== undefined && { fault }) });
				const body = JSON.stringify({
					model: "gpt-4.1-mini",
					messages: [{ role: "user", content: input }],
					stream: true,
					stream_options: { include_usage: true },
				});
				agent.dispatch(
					{
						origin: provider,
						path: "/v1/chat/completions",
						method: "POST",
						headers: { "content-type": "application/json", authorization: "Bearer none" },
						body,
					},
					{
						// undici tells by this one which kind of handler it has.
						onRequestStart() {},
						onResponseStart(_, code) {
							status = code;
						},
						onResponseData(_, chunk) {
							const text = chunk.toString();
							if (firstAt === 0 && TEXT.test(text)) firstAt = performance.now();
							tail = (tail + text).slice(-2 * DONE.length);
						},
						onResponseEnd() {
							if (status === 200 && firstAt > 0 && tail.includes(DONE)) settle();
							else settle(`the provider answered ${status}, ${firstAt > 0 ? "with" : "without"} text: ${tail}`);
						},
						onResponseError: (_, error) => settle(error.message),
					},
				);
			}),
		unasked: () => 0,
		close: () => void agent.close(),
	};
}
