import { CodedError } from "../schemas/errors.ts";
import { explain } from "../schemas/explain.ts";
import { type UpFrame, upFrame } from "../schemas/frames.ts";

/** Bytes that a client's frame may have. */
export const MAX_FRAME_BYTES = 128 * 1024;

export type Read = { frame: UpFrame } | { id: string | undefined; fault: CodedError };

/** Reads a frame, or says what is wrong with it and, if it can be told, which frame it is (P18). */
export function readFrame(text: string): Read {
	const value = parseJson(text);
	const id = idOf(value);
	const bytes = Buffer.byteLength(text);
	if (bytes > MAX_FRAME_BYTES)
		return {
			id,
			fault: new CodedError(
				"body_too_large",
				`a frame is expected to have at most ${MAX_FRAME_BYTES} bytes, got ${bytes}`,
			),
		};
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		const got = value === undefined ? "broken JSON" : text.slice(0, 40);
		return { id, fault: new CodedError("invalid_body", `a frame is expected to be one JSON object, got ${got}`) };
	}
	const parsed = upFrame.safeParse(value);
	if (parsed.success) return { frame: parsed.data };
	return { id, fault: new CodedError("invalid_body", `${explain(parsed.error, value)}. See PROTOCOL.md.`) };
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function idOf(value: unknown): string | undefined {
	if (typeof value !== "object" || value === null || !("id" in value)) return undefined;
	return typeof value.id === "string" && value.id.length <= 64 ? value.id : undefined;
}
