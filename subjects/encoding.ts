import type { Address, Draft, Entry } from "../schemas/entry.ts";
import { isHeard, lastSeq } from "../schemas/entry.ts";
import { CodedError } from "../schemas/errors.ts";
import type { AnyEvent } from "../schemas/events/all.ts";
import { WIRE_VERSION } from "../schemas/wire-version.ts";
import { parseEntrySubject } from "./subjects.ts";

/** Bytes that one entry may have (L13). */
export const MAX_ENTRY_BYTES = 256 * 1024;

/** Where a request begins: nothing stands before its first entry. */
export type Start = { address: Address; trace: string };

export const isStart = (after: Entry | Start): after is Start => "address" in after;

/** What the writer adds: an id, its name, the time. */
export type Stamp = { id: string; writer: string; at: number };

/** The entry that a draft becomes right after another one (L2); its `position` is not known before it is stored. */
export function stamp(draft: Draft, after: Entry | Start, { id, writer, at }: Stamp): Entry {
	const start = isStart(after);
	const { tenant, request, session } = start ? after.address : after;
	const first = start ? 1 : lastSeq(after) + 1;
	return {
		v: WIRE_VERSION,
		id,
		index: start ? 1 : after.index + 1,
		position: 0,
		after: start ? 0 : after.position,
		heard: start ? 0 : isHeard(after) ? after.position : after.heard,
		tenant,
		request,
		session,
		audience: draft.audience,
		actor: draft.actor,
		writer,
		attempt: draft.attempt,
		cause: draft.cause,
		final: draft.final,
		at,
		trace: after.trace,
		// The draft's type and data belong together already; numbering them keeps that, which the compiler cannot follow over a union.
		events: draft.events.map((event, at) => ({ seq: first + at, ...event }) as AnyEvent),
	};
}

/** The message's bytes; position and audience are not in them, since subject and stream say both. */
export function encode(entry: Entry): Uint8Array {
	const { position: _, audience: __, ...written } = entry;
	const bytes = Buffer.from(JSON.stringify(written));
	if (bytes.length > MAX_ENTRY_BYTES) {
		const types = entry.events.map((event) => event.type).join(", ");
		throw new CodedError(
			"context_too_long",
			`an entry is expected to have at most ${MAX_ENTRY_BYTES} bytes, ${types} would have ${bytes.length}`,
		);
	}
	return bytes;
}

const textOf = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
	Buffer.from(buffer, byteOffset, byteLength).toString();

/** Reads a message of the log; the tenant of the subject and of the entry must be the same. */
export function decode(subject: string, position: number, bytes: Uint8Array): Entry {
	const { audience, tenant, request } = parseEntrySubject(subject);
	const written: Omit<Entry, "position" | "audience"> = JSON.parse(textOf(bytes));
	if (written.v !== WIRE_VERSION)
		throw new Error(`an entry of version ${WIRE_VERSION} is expected at ${subject}, got ${written.v}`);
	if (written.tenant !== tenant || written.request !== request) {
		throw new Error(
			`the entry at position ${position} says it belongs to ${written.tenant}/${written.request}, its subject says ${tenant}/${request}`,
		);
	}
	return { ...written, audience, position };
}
