import type { Credentials, Identity } from "../../gateway/credentials.ts";
import type { Documents } from "./documents.ts";
import { type KeyParts, type KeyRecord, parseKey } from "./keys.ts";

/** Answers kept of each sort. Two maps of this size hold about 5 MB. */
const KEPT = 10_000;
/** Unknown keys that may reach the store in one span of `cacheMs`; 200 a second by default. */
const UNKNOWN_PER_SPAN = 1_000;

type Answer = { identity: Identity | undefined; until: number };

/**
 * Credentials that are API keys.
 *
 * An answer, yes or no, is used again for `cacheMs` (default and most: 5 s) from when the store was asked, so a revoked
 * key is let in no longer than that; whoever re-checks open sockets adds the time between two checks. Malformed tokens
 * never reach the store, and calls for one key at the same time ask once.
 *
 * A flood of different wrong keys is held off: when too many unknown ones came in one span, keys that were good before
 * are looked up as ever, and those never seen by this process reject until the span is over.
 *
 * `clock` gives ms that never go back.
 */
export function keyCredentials(
	documents: Documents,
	{ cacheMs = 5_000, clock = () => performance.now() }: { cacheMs?: number; clock?: () => number } = {},
): Credentials {
	const span = Math.min(cacheMs, 5_000);
	/** Good and bad apart, so that a flood of bad ones pushes out no good one. Keyed by hash: no cache holds a secret. */
	const good = new Map<string, Answer>();
	const bad = new Map<string, Answer>();
	const asking = new Map<string, Promise<Identity | undefined>>();
	let unknown = { count: 0, until: 0 };

	async function ask({ tenant, id }: KeyParts, place: string): Promise<Identity | undefined> {
		// The age of an answer counts from before the store was asked: a revocation may overtake the answer.
		const asked = clock();
		if (asked >= unknown.until) unknown = { count: 0, until: asked + span };
		if (unknown.count >= UNKNOWN_PER_SPAN && !good.has(place)) {
			throw new Error(
				`keys: more than ${UNKNOWN_PER_SPAN} unknown keys came within ${span} ms, so a key that is new to this process has to wait. Try again in ${Math.ceil((unknown.until - asked) / 1_000)} s.`,
			);
		}
		const found = await documents.get<Omit<KeyRecord, "id">>(tenant, "key", id);
		good.delete(place);
		bad.delete(place);
		if (!found || found.value.revoked_at !== null) {
			unknown.count++;
			keep(bad, place, { identity: undefined, until: asked + span });
			return undefined;
		}
		const identity = { tenant, principal: found.value.principal, roles: found.value.roles };
		keep(good, place, { identity, until: asked + span });
		return identity;
	}

	return {
		async identify(token) {
			const parts = parseKey(token);
			if (!parts) return undefined;
			const place = `${parts.tenant}/${parts.id}`;
			const known = good.get(place) ?? bad.get(place);
			if (known && clock() < known.until) return known.identity;
			const going = asking.get(place);
			if (going) return going;
			const answer = ask(parts, place).finally(() => asking.delete(place));
			asking.set(place, answer);
			return answer;
		},
	};
}

/** Keeps an answer and lets go of the one kept longest. */
function keep(answers: Map<string, Answer>, place: string, answer: Answer): void {
	answers.set(place, answer);
	const [oldest] = answers.keys();
	if (answers.size > KEPT && oldest !== undefined) answers.delete(oldest);
}
