import { type Address, type Entry, isEnd } from "../schemas/entry.ts";
import { type EventFrame, framesOf } from "../schemas/frames.ts";
import type { Log } from "../subjects/log.ts";
import { addressOf } from "./lookup.ts";

/**
 * One reader of one request.
 *
 *     waiting ──start──▶ live ◀──▶ reading        any ──close, end, gone──▶ closed
 *                         ▲  └──sink not clear──▶ stalled
 *                         └────────resume────────────┘
 *
 * Whatever state it is in, all that it knows is the entry that it delivered last. A pushed entry that follows that one is
 * delivered at once; anything else (a gap, a reconnect, silence, a sink that was full) is mended by reading the log from there.
 */
export type Follower = {
	/** Resolves when every entry appended from then on will be seen; read or claim the log after that (G2). */
	ready(): Promise<void>;
	/** Delivers `entries` (from index 1), then what follows, without the events up to seq `after`. Reads only if something is missing. */
	start(entries: readonly Entry[], after: number, sink: Sink): void;
	/** The sink is clear again: goes on from the log (G5). */
	resume(): void;
	/** Compares with the log: pushes may have been lost. */
	check(): void;
	/** When it last had something to deliver or compared with the log, by `performance.now()`. */
	lastActive(): number;
	/** Called once, when it is closed: by its end, by the loss of its log, or by `close`. */
	onClose(handle: () => void): void;
	close(): void;
};

/** Where a follower delivers. */
export type Sink = {
	/** Whether more may be pushed now. If not, its owner calls `resume` when it may. */
	clear(): boolean;
	/** The visible events of an entry, at least one; all of them are taken. */
	push(entry: Entry, frames: readonly EventFrame[]): void;
	/** The last event was pushed; the follower is closed. */
	ended(): void;
	/** The log was lost under the follower, which is closed: `diverged` if there is another one now, else `expired` (G3). */
	gone(reason: "diverged" | "expired"): void;
};

type State = "waiting" | "live" | "reading" | "stalled" | "closed";

/** Pushed entries that wait for a read or the start; more are read from the log again. */
const MAX_PENDING = 64;

export type FollowerOptions = {
	log: Log;
	/** Runs a read; the caller may bound how many run at once. */
	reading(read: () => Promise<void>): Promise<void>;
};

export function openFollower(what: { tenant: string; request: string }, { log, reading }: FollowerOptions): Follower {
	let state: State = "waiting";
	let active = performance.now();
	let sink: Sink | undefined;
	let address: Address | undefined;
	/** The entry delivered last; only these fields are kept of it. */
	let last: Pick<Entry, "id" | "position" | "after"> = { id: "", position: 0, after: 0 };
	/** Seq of the last visible event up to there: the next frame's `prev` (G7). */
	let visible = 0;
	let skipUpTo = 0;
	let pending: Entry[] = [];
	const whenClosed: (() => void)[] = [];
	/** Highest position that was pushed. */
	let seen = 0;

	const is = (wanted: State) => state === wanted;

	const following = log.follow(what, (entry) => {
		seen = Math.max(seen, entry.position);
		if (is("closed") || is("stalled")) return;
		pending.push(entry);
		if (pending.length > MAX_PENDING) pending = [];
		if (is("live")) deliverPending();
	});

	const close = () => {
		if (is("closed")) return;
		state = "closed";
		pending = [];
		following[Symbol.dispose]();
		for (const handle of whenClosed) handle();
	};

	/** False when nothing more may be delivered now. */
	function deliver(entry: Entry, to: Sink): boolean {
		const all = framesOf(entry, visible);
		const frames = entry.events.some(({ seq }) => seq <= skipUpTo) ? all.filter(({ seq }) => seq > skipUpTo) : all;
		if (frames.length > 0 && !to.clear()) {
			state = "stalled";
			pending = [];
			return false;
		}
		active = performance.now();
		last = { id: entry.id, position: entry.position, after: entry.after };
		visible = all.at(-1)?.seq ?? visible;
		if (frames.length > 0) to.push(entry, frames);
		if (is("closed")) return false;
		if (!isEnd(entry)) return true;
		close();
		to.ended();
		return false;
	}

	function deliverPending(): void {
		if (!sink) return;
		for (let entry = pending.shift(); entry; entry = pending.shift()) {
			if (entry.position <= last.position) continue;
			if (entry.after !== last.position) break;
			if (!deliver(entry, sink)) return;
		}
		if (seen > last.position) catchUp();
	}

	function catchUp(): void {
		if (!is("live")) return;
		state = "reading";
		active = performance.now();
		// A log that cannot be reached now is read again by the next check.
		void reading(readOn).catch(() => {
			if (is("reading")) state = "live";
		});
	}

	async function readOn(): Promise<void> {
		if (!sink || !address || is("closed")) return;
		const before = last.position;
		// From before the last entry: that it is still there, with the same id, shows that this is still the same log (G3).
		const entries = await log.read(address, last.after);
		if (is("closed")) return;
		if (before > 0 && entries[0]?.id !== last.id) {
			const tail = await log.tail(address.tenant, address.request);
			if (is("closed")) return;
			close();
			sink.gone(tail ? "diverged" : "expired");
			return;
		}
		for (const entry of before > 0 ? entries.slice(1) : entries) if (!deliver(entry, sink)) return;
		state = "live";
		// A push that no read shows yet is left to the next check: reading again at once could go on for ever.
		if (last.position > before || pending.some(({ after }) => after === last.position)) deliverPending();
		else pending = [];
	}

	return {
		ready: () => following.ready(),
		start(entries, after, to) {
			const [first] = entries;
			if (!is("waiting") || !first) return;
			sink = to;
			address = addressOf(first);
			skipUpTo = after;
			state = "live";
			for (const entry of entries) if (!deliver(entry, to)) return;
			deliverPending();
		},
		resume() {
			if (!is("stalled")) return;
			state = "live";
			catchUp();
		},
		check: catchUp,
		lastActive: () => active,
		onClose: (handle) => void whenClosed.push(handle),
		close,
	};
}
