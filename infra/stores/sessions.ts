import type { Opening, OpenRequest, Sessions, Turn } from "../../actors/session/ports.ts";
import type { Results, SessionOwners, StoredResult } from "../../gateway/ports.ts";
import type { FinalObject } from "../../schemas/frames.ts";
import { NO_SESSION } from "../../subjects/subjects.ts";
import { release } from "./admission.ts";
import type { Change, Documents, Stored } from "./documents.ts";

/** A session: whose it is, which request has the turn, and how many turns there were. */
type SessionRow = { principal: string; open: string | null; turns: number; created_at: number };
type ResultRow = StoredResult & { expires_at: number };

/** How long a result answers retries (L4). */
const RESULT_MS = 30 * 24 * 3_600_000;
/** Turns that are looked at for a window; older ones are counted only. */
const WINDOW_TURNS = 64;
const TURN_DIGITS = 10;

/** Newest first in order of id, since a list goes forward only. */
const turnId = (session: string, turn: number): string =>
	`${session}:${String(10 ** TURN_DIGITS - 1 - turn).padStart(TURN_DIGITS, "0")}`;

export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

export const storedResults = (documents: Documents): Results => ({
	async find(tenant, request) {
		const stored = await documents.get<ResultRow>(tenant, "result", request);
		return stored?.value;
	},
});

export const sessionOwners = (documents: Documents): SessionOwners => ({
	async ownerOf(tenant, session) {
		return (await documents.get<SessionRow>(tenant, "session", session))?.value.principal;
	},
});

/** The session store, above Documents: every change is conditional on the version that it was decided from (§8). */
export function storedSessions(documents: Documents, now: () => number): Sessions {
	async function opened(tenant: string, session: string, { value, version }: Stored<SessionRow>): Promise<Opening> {
		const turns = await documents.list<Turn>(tenant, "turn", { prefix: `${session}:`, limit: WINDOW_TURNS });
		return { outcome: "opened", turns: turns.map(({ value }) => value), older: value.turns - turns.length, version };
	}

	/** One try; nothing when somebody else changed the session meanwhile. */
	async function tryOpen(wanted: OpenRequest): Promise<Opening | undefined> {
		const { tenant, session, request, principal, at } = wanted;
		const keep: Change = { op: "insert", kind: "open", id: request, value: wanted };
		const done = async (changes: Change[]): Promise<boolean> => {
			const result = await documents.commit(tenant, changes);
			if (result === "done") return true;
			// Kept by an earlier delivery of the same request.
			const held = result.refused === "exists" && result.change.kind === "open";
			const others = changes.filter((change) => change !== keep);
			return held && others.length > 0 ? done(others) : held;
		};
		const ended = async () => (await documents.get(tenant, "result", request)) !== undefined;
		if (session === NO_SESSION) {
			if (await ended()) return { outcome: "ended" };
			await done([keep]);
			return { outcome: "opened", turns: [], older: 0, version: 0 };
		}
		const stored = await documents.get<SessionRow>(tenant, "session", session);
		if (!stored) {
			const value: SessionRow = { principal, open: request, turns: 0, created_at: at };
			const fresh = await done([{ op: "insert", kind: "session", id: session, value }, keep]);
			return fresh ? { outcome: "opened", turns: [], older: 0, version: 1 } : undefined;
		}
		if (stored.value.principal !== principal) return { outcome: "foreign" };
		if (stored.value.open === request) return opened(tenant, session, stored);
		// A late handler of a request that has ended must not take the turn again.
		if (await ended()) return { outcome: "ended" };
		if (stored.value.open !== null) {
			// Kept all the same, so that its end can store a result.
			await done([keep]);
			return { outcome: "busy", with: stored.value.open };
		}
		const value: SessionRow = { ...stored.value, open: request };
		const taken = await done([{ op: "replace", kind: "session", id: session, value, version: stored.version }, keep]);
		return taken ? opened(tenant, session, { ...stored, value, version: stored.version + 1 }) : undefined;
	}

	/** One try to store an end; false when somebody else changed something meanwhile. */
	async function tryClose(
		tenant: string,
		request: string,
		final: FinalObject,
		turnOf: ((open: OpenRequest) => Promise<Turn>) | undefined,
	): Promise<boolean> {
		if (await documents.get(tenant, "result", request)) return true;
		const open = await documents.get<OpenRequest>(tenant, "open", request);
		const lease = await release(documents, tenant, request);
		const changes: Change[] = [...lease];
		if (open) {
			const { fingerprint, principal, session } = open.value;
			const expires_at = now() + RESULT_MS;
			const result: ResultRow = { fingerprint, principal, final, expires_at };
			changes.push({
				op: "insert",
				kind: "result",
				id: request,
				value: result,
				indexes: { expires: dayOf(expires_at) },
			});
			changes.push({ op: "remove", kind: "open", id: request });
			const stored = session === NO_SESSION ? undefined : await documents.get<SessionRow>(tenant, "session", session);
			if (stored?.value.open === request) {
				const turn = await turnOf?.(open.value);
				const turns = stored.value.turns + (turn ? 1 : 0);
				if (turn) changes.push({ op: "insert", kind: "turn", id: turnId(session, stored.value.turns), value: turn });
				changes.push({
					op: "replace",
					kind: "session",
					id: session,
					value: { ...stored.value, open: null, turns },
					version: stored.version,
				});
			}
		}
		return changes.length === 0 || (await documents.commit(tenant, changes)) === "done";
	}

	return {
		async open(wanted) {
			for (;;) {
				const opening = await tryOpen(wanted);
				if (opening) return opening;
			}
		},
		async close(tenant, request, final, turn) {
			while (!(await tryClose(tenant, request, final, turn)));
		},
	};
}
