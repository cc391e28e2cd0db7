import type { Log } from "../subjects/log.ts";
import { type Follower, openFollower } from "./attach.ts";

/** All followers of a process, with the one timer and the one reconnect handler that they share. */
export type Followers = Disposable & {
	open(what: { tenant: string; request: string }): Follower;
	size(): number;
};

export type FollowersTiming = {
	/** Milliseconds without anything to deliver after which a follower compares with the log (G2). */
	silentMs: number;
	tickMs: number;
};

const STANDARD_TIMING: FollowersTiming = { silentMs: 5_000, tickMs: 1_000 };
/** Reads of the log under way at once; a thousand clients that return together wait for one another. */
const MAX_READS = 64;

export function openFollowers(log: Log, { silentMs, tickMs }: FollowersTiming = STANDARD_TIMING): Followers {
	const followers = new Set<Follower>();
	const reading = atMost(MAX_READS);
	const timer = setInterval(() => {
		const silentSince = performance.now() - silentMs;
		for (const follower of followers) if (follower.lastActive() <= silentSince) follower.check();
	}, tickMs);
	timer.unref();
	const reconnects = log.onReconnect(() => {
		for (const follower of followers) follower.check();
	});

	return {
		open(what) {
			const follower = openFollower(what, { log, reading });
			followers.add(follower);
			follower.onClose(() => followers.delete(follower));
			return follower;
		},
		size: () => followers.size,
		[Symbol.dispose]() {
			clearInterval(timer);
			reconnects[Symbol.dispose]();
			for (const follower of [...followers]) follower.close();
		},
	};
}

/** Runs at most `limit` tasks at once, the others in the order in which they came. */
function atMost(limit: number): (task: () => Promise<void>) => Promise<void> {
	const waiting: (() => void)[] = [];
	let running = 0;
	return async (task) => {
		if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
		else running++;
		try {
			await task();
		} finally {
			// The next one takes over this one's place.
			const next = waiting.shift();
			if (next) next();
			else running--;
		}
	};
}
