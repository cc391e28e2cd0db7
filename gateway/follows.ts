import { CodedError } from "../schemas/errors.ts";
import type { Follower } from "./attach.ts";
import type { Followed } from "./followed.ts";
import type { Outbox } from "./outbox.ts";

/** The requests that one socket follows: one follower each (P20), 64 in all (P19). */
export type Follows = {
	has(request: string): boolean;
	/** Takes a place for a follow that is about to be opened; release it when the follow has begun or failed. Throws when there is none. */
	reserve(): Place;
	/** Puts a follower that will begin soon on a place, so that nobody else follows its request meanwhile. */
	hold(place: Place, request: string, follower: Follower): void;
	/** Delivers to the socket, instead of any earlier follower of the request. `id` names the frame that asked; a watch has none. */
	begin(id: string | undefined, followed: Followed, after: number): void;
	/** The socket has room again. */
	resume(): void;
	/** The socket is closed: nothing begins any more. */
	close(): void;
};

/** Released more than once, it stays released. */
export type Place = { release(): void };

const MAX_FOLLOWS = 64;

export function openFollows(outbox: Outbox): Follows {
	const followers = new Map<string, Follower>();
	let reserved = 0;
	let open = true;

	const forget = (request: string, follower: Follower) => {
		if (followers.get(request) === follower) followers.delete(request);
	};

	function place(onRelease: () => void): Place {
		let held = true;
		return {
			release() {
				if (held) onRelease();
				held = false;
			},
		};
	}

	return {
		has: (request) => followers.has(request),
		reserve() {
			if (followers.size + reserved >= MAX_FOLLOWS)
				throw new CodedError(
					"too_many_requests",
					`at most ${MAX_FOLLOWS} followed requests per socket are expected; wait for one to end or open another socket`,
				);
			reserved++;
			return place(() => {
				reserved--;
			});
		},
		hold(reservation, request, follower) {
			if (!open || followers.has(request)) return;
			reservation.release();
			followers.set(request, follower);
			follower.onClose(() => forget(request, follower));
		},
		begin(id, { address: { request }, entries, follower }, after) {
			if (!open) {
				follower.close();
				return;
			}
			const earlier = followers.get(request);
			if (earlier !== follower) {
				earlier?.close();
				followers.set(request, follower);
				follower.onClose(() => forget(request, follower));
			}
			follower.start(entries, after, {
				clear: outbox.clear,
				push: (_, frames) => outbox.events(frames),
				ended() {},
				gone(reason) {
					if (id !== undefined) outbox.answer({ type: "reply", id, request_id: request, status: "gone", reason });
					else
						outbox.answer({ type: "error", code: "not_found", message: `the log of ${request} is lost (${reason})` });
				},
			});
		},
		resume() {
			for (const follower of [...followers.values()]) follower.resume();
		},
		close() {
			open = false;
			for (const follower of [...followers.values()]) follower.close();
		},
	};
}
