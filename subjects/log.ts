import type { Address, Draft, Entry } from "../schemas/entry.ts";
import type { Start } from "./encoding.ts";

/** Somebody else appended first; `missed` is everything after the expected position, in order (L3). */
export type Conflict = { conflict: true; missed: readonly Entry[] };

export const isConflict = (result: Entry | Conflict): result is Conflict => "conflict" in result;

/** Live entries until disposed. `ready` resolves when every entry appended from then on will be seen. */
export type Following = Disposable & { ready(): Promise<void> };

/** The log of requests. Positions are stream sequences; 0 is before the first entry. */
export type Log = {
	/**
	 * Appends right after an entry (or at the start: a claim, L4), or reports what stands there.
	 * An append whose ack was lost is settled by its entry id. Rejects with `log_unavailable` when the broker stays away.
	 */
	append(draft: Draft, after: Entry | Start): Promise<Entry | Conflict>;
	/** Last entry, or nothing for a request that is unknown or expired. */
	tail(tenant: string, request: string): Promise<Entry | undefined>;
	/** All entries after `position`, gapless up to the tail (L11). Empty for a log whose first entry is gone when read from 0. */
	read(address: Address, position: number): Promise<Entry[]>;
	/**
	 * Everything that orchestration wrote or heard before an entry, by following `heard` (L2): a few literal reads, where
	 * `read` would fetch deltas too. Nothing when a link of the chain has expired.
	 */
	heard(entry: Entry): Promise<Entry[] | undefined>;
	/** Live entries of a request or of a session, at most once: readers splice with `read` (G2). */
	follow(
		what: { tenant: string; request: string } | { tenant: string; session: string },
		on: (entry: Entry) => void,
	): Following;
	/** Called after every reconnect to the broker: what was pushed meanwhile is lost. */
	onReconnect(handle: () => void): Disposable;
};
