import type { Admission } from "../../gateway/ports.ts";
import type { Change, Documents } from "./documents.ts";

type Lease = { expires_at: number; minute: number };

const OPEN = "open";
const MINUTE_MS = 60_000;
const minuteId = (minute: number): string => `minute:${minute}`;
/** A wait that is worth telling a client which has too many requests open. */
const OPEN_RETRY_SECONDS = 1;
const PAGE = 500;

/** Leases and rates, counted in the store, so that two gateways together admit what one would (§6). */
export function storedAdmission(
	documents: Documents,
	limits: { requestsPerMinute: number; openRequests: number },
): Admission {
	return {
		async take(tenant, request, now, expiresAt) {
			const minute = Math.floor(now / MINUTE_MS);
			const lease: Lease = { expires_at: expiresAt, minute };
			const changes: Change[] = [
				{ op: "insert", kind: "lease", id: request, value: lease },
				{ op: "add", kind: "counter", id: minuteId(minute), by: 1, ceiling: limits.requestsPerMinute },
				{ op: "add", kind: "counter", id: OPEN, by: 1, ceiling: limits.openRequests },
			];
			for (let tries = 0; ; tries++) {
				const result = await documents.commit(tenant, changes);
				if (result === "done") return "taken";
				if (result.refused === "exists") return "held";
				if (result.change.id !== OPEN) {
					return {
						refused: "rate_limited",
						retryAfter: Math.max(1, Math.ceil(((minute + 1) * MINUTE_MS - now) / 1_000)),
					};
				}
				// Leases of requests that never came to their end are worth looking for when the ceiling is reached.
				if (tries > 0 || (await reapLeases(documents, tenant, now)) === 0) {
					return { refused: "too_many_requests", retryAfter: OPEN_RETRY_SECONDS };
				}
			}
		},
		async giveBack(tenant, request) {
			const lease = await documents.get<Lease>(tenant, "lease", request);
			if (!lease) return;
			await documents.commit(tenant, [
				...releasing(request),
				{ op: "add", kind: "counter", id: minuteId(lease.value.minute), by: -1 },
			]);
		},
	};
}

const releasing = (request: string): Change[] => [
	{ op: "remove", kind: "lease", id: request },
	{ op: "add", kind: "counter", id: OPEN, by: -1 },
];

/** What gives a request's lease back, as part of the commit that closes it; nothing when the lease is gone. */
export async function release(documents: Documents, tenant: string, request: string): Promise<Change[]> {
	return (await documents.get(tenant, "lease", request)) ? releasing(request) : [];
}

/** Gives back the leases whose time is over; says how many. */
export async function reapLeases(documents: Documents, tenant: string, now: number): Promise<number> {
	let reaped = 0;
	let after: string | undefined;
	for (;;) {
		const page = await documents.list<Lease>(tenant, "lease", {
			limit: PAGE,
			...(after === undefined ? {} : { after }),
		});
		for (const { id, value } of page) {
			if (value.expires_at > now) continue;
			if ((await documents.commit(tenant, releasing(id))) === "done") reaped += 1;
		}
		after = page.at(-1)?.id;
		if (page.length < PAGE) return reaped;
	}
}

/** Removes counters of minutes that are over. */
export async function reapMinutes(documents: Documents, tenant: string, now: number): Promise<void> {
	const current = minuteId(Math.floor(now / MINUTE_MS) - 1);
	for (const { id } of await documents.list(tenant, "counter", { prefix: "minute:", limit: PAGE })) {
		if (id < current) await documents.commit(tenant, [{ op: "remove", kind: "counter", id }]);
	}
}
