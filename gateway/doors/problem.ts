import { STATUS_CODES } from "node:http";
import { type CodedError, errors } from "../../schemas/errors.ts";
import type { Exchange } from "../transport.ts";

/** Answers a call that was refused: problem details of RFC 9457 with our code (P28). */
export function replyProblem(exchange: Exchange, { code, message, retryAfter }: CodedError, headers = {}): void {
	const { status, retryable, sentence } = errors[code];
	const problem = { type: "about:blank", title: STATUS_CODES[status] ?? sentence, status, detail: message, code };
	exchange.reply(
		status,
		{
			"content-type": "application/problem+json",
			...(retryable && { "retry-after": String(Math.max(1, Math.ceil(retryAfter ?? 1))) }),
			...(code === "unauthorized" && { "www-authenticate": "Bearer" }),
			...headers,
		},
		JSON.stringify(problem),
	);
}

export function replyJson(
	exchange: Exchange,
	status: number,
	value: unknown,
	headers: Record<string, string> = {},
): void {
	exchange.reply(status, { "content-type": "application/json", ...headers }, JSON.stringify(value));
}
