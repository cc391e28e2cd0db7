import type { Address, Entry } from "../schemas/entry.ts";
import { CodedError } from "../schemas/errors.ts";
import type { DataOf } from "../schemas/events/all.ts";
import type { FinalObject } from "../schemas/frames.ts";
import { requestId } from "../schemas/tokens.ts";
import type { Log } from "../subjects/log.ts";
import { foundingRequest } from "../subjects/subjects.ts";
import type { Identity } from "./credentials.ts";
import type { Results, SessionOwners } from "./ports.ts";

/** A request as its own principal may see it. */
export type Found =
	| { found: "log"; address: Address; entries: readonly Entry[] }
	/** The log has expired, the result has not. */
	| { found: "result"; final: FinalObject }
	/** Unknown, expired, or somebody else's: nobody can tell which (G4). */
	| { found: "nothing" };

export const addressOf = ({ tenant, request, session }: Entry): Address => ({ tenant, request, session });

/** What was asked, by whom: the first event of every log. Nothing for a log whose beginning is gone. */
export function acceptedOf(entries: readonly Entry[]): DataOf<"request.accepted"> | undefined {
	const [first] = entries;
	const event = first?.index === 1 ? first.events[0] : undefined;
	return event?.type === "request.accepted" ? event.data : undefined;
}

/**
 * Finds a request on behalf of a caller: only what this principal of this tenant submitted (G4). `beforeRead` runs when
 * there is a log, before it is read: whoever follows subscribes there (G2). It may have run for a request that is then not found.
 */
export async function findRequest(
	{ log, results }: { log: Log; results: Results },
	{ tenant, principal }: Identity,
	id: string,
	beforeRead: (address: Address) => Promise<void> = async () => {},
): Promise<Found> {
	if (!requestId.safeParse(id).success) return { found: "nothing" };
	const tail = await log.tail(tenant, id);
	if (tail) {
		const address = addressOf(tail);
		await beforeRead(address);
		const entries = await log.read(address, 0);
		const accepted = acceptedOf(entries);
		if (accepted) return accepted.principal === principal ? { found: "log", address, entries } : { found: "nothing" };
	}
	const stored = await results.find(tenant, id);
	return stored?.principal === principal ? { found: "result", final: stored.final } : { found: "nothing" };
}

/** The one answer for every id that opens nothing. */
export const unknownRequest = (): CodedError =>
	new CodedError(
		"not_found",
		"a request of this caller is expected, and none has this id: it is unknown, expired or somebody else's. See POST /v1/requests in PROTOCOL.md.",
	);

/** Rejects with `not_found` unless the caller began the session, with the same words for an unknown one and a foreign one (G4). */
export async function mustOwnSession(
	{ log, owners }: { log: Log; owners: SessionOwners },
	{ tenant, principal }: Identity,
	session: string,
): Promise<void> {
	const owner = (await owners.ownerOf(tenant, session)) ?? (await founderOf(log, tenant, session));
	if (owner === principal) return;
	throw new CodedError(
		"not_found",
		"session_id is expected to name a session of this caller, and none has this id. Leave it out to begin a new session.",
	);
}

/** Who made the session's first request: the session's own record may not be written yet. */
async function founderOf(log: Log, tenant: string, session: string): Promise<string | undefined> {
	const request = foundingRequest(session);
	if (!requestId.safeParse(request).success) return undefined;
	const entries = await log.read({ tenant, request, session }, 0);
	// A request with that id may have been made in another session.
	return entries[0]?.session === session ? acceptedOf(entries)?.principal : undefined;
}
