import { type Entry, isEnd } from "../schemas/entry.ts";
import { CodedError } from "../schemas/errors.ts";
import { isConflict, type Log } from "../subjects/log.ts";
import type { Identity } from "./credentials.ts";
import { findRequest, unknownRequest } from "./lookup.ts";
import type { Feedback, Results } from "./ports.ts";

/** Appends of others that a cancel gives way to; deltas of one request are 20 ms apart (L9), so a few do. */
const CANCEL_TRIES = 100;

const asksForCancel = (entries: readonly Entry[]) =>
	entries.some(({ events }) => events.some(({ type }) => type === "cancel.requested"));

/** Puts the wish to end a request into its log, once. Rejects with `not_found` for a request that is not the caller's (G4). */
export async function cancelRequest(
	ports: { log: Log; results: Results },
	identity: Identity,
	request: string,
): Promise<"cancelling" | "already ended"> {
	const found = await findRequest(ports, identity, request);
	if (found.found === "nothing") throw unknownRequest();
	if (found.found === "result") return "already ended";
	let entries = found.entries;
	let tail = entries.at(-1);
	for (let tries = 0; tail && tries < CANCEL_TRIES; tries++) {
		if (isEnd(tail)) return "already ended";
		if (asksForCancel(entries)) return "cancelling";
		const result = await ports.log.append(
			{
				audience: "orchestration",
				actor: "gateway",
				cause: 0,
				final: false,
				attempt: 0,
				events: [{ type: "cancel.requested", data: { by: identity.principal } }],
			},
			tail,
		);
		if (!isConflict(result)) return "cancelling";
		entries = result.missed;
		tail = entries.at(-1) ?? tail;
	}
	throw new CodedError(
		"log_unavailable",
		"the log of this request moved on before each try to append the cancel; try again",
		1,
	);
}

/** Records what the caller thinks of a request of its own. `score` from −1 to 1. */
export async function giveFeedback(
	ports: { log: Log; results: Results; feedback: Feedback },
	identity: Identity,
	request: string,
	{ score, comment }: { score: number; comment?: string | undefined },
): Promise<void> {
	const found = await findRequest(ports, identity, request);
	if (found.found === "nothing") throw unknownRequest();
	const { tenant, principal } = identity;
	await ports.feedback.record(tenant, request, { principal, score, comment: comment ?? "", at: Date.now() });
}
