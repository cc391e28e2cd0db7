import { type Address, type Entry, isEnd, lastSeq } from "../schemas/entry.ts";
import type { FinalObject } from "../schemas/frames.ts";
import { type AdmitHooks, type AdmitPorts, admit, type Submission } from "./admit.ts";
import type { Follower } from "./attach.ts";
import type { Identity } from "./credentials.ts";
import type { Followers } from "./followers.ts";
import { type Found, findRequest } from "./lookup.ts";

export type FollowPorts = AdmitPorts & { followers: Followers };

/** A follower that was ready before `entries` were read or claimed: start it with them, or close it. */
export type Followed = { address: Address; entries: readonly Entry[]; follower: Follower };

export type Submitted = ({ outcome: "accepted" | "attached" } & Followed) | { outcome: "stored"; final: FinalObject };

export type SubmitHooks = Pick<AdmitHooks, "beforeClaim"> & {
	/** The follower exists, and the request may still be refused: then it is closed. */
	opened?(request: string, follower: Follower): void;
};

/** Admits a submit and follows it, subscribed before the claim (G2). Rejects as `admit` does and leaves no follower behind then. */
export async function submitFollowed(
	ports: FollowPorts,
	submission: Submission,
	{ opened, beforeClaim }: SubmitHooks = {},
): Promise<Submitted> {
	return following(ports, opened, async (follow, followerOf) => {
		const admitted = await admit(ports, submission, { follow, ...(beforeClaim && { beforeClaim }) });
		return admitted.outcome === "stored" ? admitted : { ...admitted, follower: followerOf(admitted.address) };
	});
}

export type FoundFollowed = ({ found: "log" } & Followed) | Exclude<Found, { found: "log" }>;

/** Finds a request on behalf of its principal and follows it (G2, G4). */
export async function findFollowed(ports: FollowPorts, identity: Identity, request: string): Promise<FoundFollowed> {
	return following(ports, undefined, async (follow, followerOf) => {
		const found = await findRequest(ports, identity, request, follow);
		return found.found === "log" ? { ...found, follower: followerOf(found.address) } : found;
	});
}

/** Runs `open` with a hook that makes the follower; a follower that the result does not hand out is closed. */
async function following<T extends object>(
	{ followers }: FollowPorts,
	opened: SubmitHooks["opened"],
	open: (follow: (address: Address) => Promise<void>, followerOf: (address: Address) => Follower) => Promise<T>,
): Promise<T> {
	const made: Follower[] = [];
	const make = (address: Address) => {
		const follower = followers.open(address);
		made.push(follower);
		opened?.(address.request, follower);
		return follower;
	};
	let result: T | undefined;
	try {
		result = await open(
			(address) => make(address).ready(),
			(address) => made[0] ?? make(address),
		);
		return result;
	} finally {
		for (const follower of made)
			if (!result || !("follower" in result) || result.follower !== follower) follower.close();
	}
}

/** What a cursor finds (G3). Never a partial recovery. */
export type Resumption =
	/** The rest of the events follows; `ended` when no more will come. */
	| ({ resumed: "recovered" | "completed" } & Followed)
	| { resumed: "result"; final: FinalObject }
	| { resumed: "gone"; reason: "unknown" | "diverged" };

/** Decides what a reader gets whose last event is `after`; closes the follower if there is nothing to follow. */
export function resumption(found: FoundFollowed, after: number): Resumption {
	if (found.found === "nothing") return { resumed: "gone", reason: "unknown" };
	if (found.found === "result") {
		const beyond = after > (found.final.final_seq ?? Number.POSITIVE_INFINITY);
		return beyond ? { resumed: "gone", reason: "diverged" } : { resumed: "result", final: found.final };
	}
	const { address, entries, follower } = found;
	const last = entries.at(-1);
	if (!last || after > lastSeq(last)) {
		follower.close();
		return { resumed: "gone", reason: "diverged" };
	}
	return { resumed: isEnd(last) ? "completed" : "recovered", address, entries, follower };
}
