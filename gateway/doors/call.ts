import type { z } from "zod";
import { CodedError } from "../../schemas/errors.ts";
import { explain } from "../../schemas/explain.ts";
import type { Identity } from "../credentials.ts";
import type { Exchange } from "../transport.ts";

/** A call of a known route by a known caller. */
export type Call = { exchange: Exchange; identity: Identity; id: string };

/** The key of an `Authorization: Bearer` header. */
export const bearerToken = (headers: Readonly<Record<string, string>>): string | undefined =>
	/^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];

/** Reads a JSON body of at most `limit` bytes; rejects with `body_too_large` or `invalid_body`. */
export async function readJson(exchange: Exchange, limit: number): Promise<unknown> {
	const body = await exchange.body(limit);
	if (body === "too_large")
		throw new CodedError("body_too_large", `a body of at most ${limit} bytes is expected, got a longer one`);
	// Nobody reads this one.
	if (body === "gone") throw new CodedError("invalid_body", "the whole body is expected, the connection ended before");
	try {
		return JSON.parse(body.text);
	} catch (problem) {
		const reason = problem instanceof Error ? problem.message : String(problem);
		throw new CodedError("invalid_body", `the body is expected to be JSON, got something else (${reason})`);
	}
}

export function readAs<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
	const parsed = schema.safeParse(value);
	if (parsed.success) return parsed.data;
	throw new CodedError("invalid_body", `${explain(parsed.error, value)}. See PROTOCOL.md.`);
}

/** A whole number from the query, or `standard` when it is not there. */
export function readCount(text: string | null, name: string, standard: number, maximum: number): number {
	if (text === null) return standard;
	const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
	if (count <= maximum) return count;
	throw new CodedError(
		"invalid_body",
		`"${name}" is expected to be a whole number up to ${maximum}, got ${JSON.stringify(text)}`,
	);
}

/** Whether a header that lists several values has this one; parameters after `;` do not count. */
export const lists = (header: string | undefined, value: string): boolean =>
	(header ?? "").split(",").some((item) => item.split(";")[0]?.trim().toLowerCase() === value);
