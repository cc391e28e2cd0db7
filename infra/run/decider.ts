import type { Decider } from "../../actors/actor.ts";
import type { Draft, Entry } from "../../schemas/entry.ts";
import { isEnd, isHeard, lastSeq } from "../../schemas/entry.ts";
import type { Bundle } from "../../schemas/feature.ts";
import { isConflict, type Log } from "../../subjects/log.ts";
import { MAX_DELIVERIES } from "./worker.ts";

/** A decider's state and the position that it is folded up to: that of the last entry it heard or wrote (L2 `heard`). */
type Folded<State> = { state: State; position: number };

export type DecidingContext = {
	log: Log;
	/** Configuration by hash; the same hash is the same configuration for ever (L15). */
	bundle(sha256: string): Promise<Bundle>;
	/** Requests whose state is kept in memory. */
	cacheSize: number;
};

export type Deciding = {
	/** Folds the entry, decides, appends; resolves when the message may be acked (L5). */
	hear(entry: Entry, delivery: { redelivered: boolean; deliveries: number }): Promise<void>;
};

/** Drives a decider: everything up to the position that the append expects is folded, then it decides once from the state alone (§3). */
export function deciding<State>(decider: Decider<State>, { log, bundle, cacheSize }: DecidingContext): Deciding {
	const cache = new Map<string, Folded<State>>();
	const turns = new Map<string, Promise<void>>();
	const start: Folded<State> = { state: decider.initial, position: 0 };

	const fold = (folded: Folded<State>, entries: readonly Entry[]): Folded<State> =>
		entries
			.filter(isHeard)
			.reduce((before, entry) => ({ state: decider.evolve(before.state, entry), position: entry.position }), folded);

	/** For a poisoned request: its state, or nothing of it when folding is what brings the handler down. */
	const foldWhatFolds: typeof fold = (folded, entries) => {
		try {
			return fold(folded, entries);
		} catch {
			return start;
		}
	};

	const remember = (key: string, folded: Folded<State>) => {
		cache.delete(key);
		cache.set(key, folded);
		if (cache.size > cacheSize) cache.delete(cache.keys().next().value ?? "");
	};

	async function draftOf(
		state: State,
		last: Entry,
		poisoned: string | undefined,
	): Promise<Omit<Draft, "cause"> | undefined> {
		const seq = lastSeq(last) + 1;
		if (poisoned) return { ...decider.abandon(state, seq, poisoned), actor: "runner", attempt: 0 };
		const sha256 = decider.configuration(state);
		const decision = decider.decide(sha256 ? await bundle(sha256) : undefined, state, seq);
		return decision && { ...decision, actor: decider.name, attempt: 0 };
	}

	async function decide(entry: Entry, redelivered: boolean, deliveries: number): Promise<void> {
		const key = `${entry.tenant}/${entry.request}`;
		const known = redelivered ? undefined : entry.heard === 0 ? start : cache.get(key);
		let poisoned: string | undefined;
		let folded: Folded<State>;
		let last = entry;
		// A fold that lacks what others decided meanwhile would decide wrongly at a tail that is right (L2 `heard`).
		if (known?.position === entry.heard) folded = fold(known, [entry]);
		else {
			const entries = await log.read(entry, 0);
			const tail = entries.at(-1);
			if (tail && isEnd(tail)) return void cache.delete(key);
			const exhausted = deliveries > MAX_DELIVERIES;
			if (!tail || tail.position < entry.position) {
				// Expired; or it is read where the message in hand has not arrived yet (L11).
				if (!tail && exhausted) return void cache.delete(key);
				throw new Error(
					`the log of ${entry.request} is expected up to position ${entry.position}, it shows ${tail?.position ?? 0}; the message is tried again`,
				);
			}
			if (exhausted) {
				if (entries.some((earlier) => earlier.actor === decider.name && earlier.cause === lastSeq(entry)))
					return void cache.delete(key);
				poisoned = `${deliveries} deliveries of one message were not decided`;
			}
			folded = (poisoned ? foldWhatFolds : fold)(start, entries);
			last = tail;
		}
		for (;;) {
			const draft = await draftOf(folded.state, last, poisoned);
			if (!draft) return remember(key, folded);
			const result = await log.append({ ...draft, cause: lastSeq(entry) }, last);
			const missed = isConflict(result) ? result.missed : [result];
			last = missed.at(-1) ?? last;
			if (isEnd(last)) return void cache.delete(key);
			folded = (poisoned ? foldWhatFolds : fold)(folded, missed);
			if (!isConflict(result)) return remember(key, folded);
		}
	}

	return {
		// One input of a request at a time: two at once would only meet each other at the fence.
		hear(entry, { redelivered, deliveries }) {
			const key = `${entry.tenant}/${entry.request}`;
			const turn = (turns.get(key) ?? Promise.resolve())
				.catch(() => {})
				.then(() => decide(entry, redelivered, deliveries));
			turns.set(key, turn);
			return turn.finally(() => {
				if (turns.get(key) === turn) turns.delete(key);
			});
		},
	};
}
