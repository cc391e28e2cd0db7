import { reapLeases, reapMinutes } from "./admission.ts";
import type { Documents } from "./documents.ts";
import { listTenants } from "./keys.ts";
import { dayOf } from "./sessions.ts";

const DAY_MS = 24 * 3_600_000;
const PAGE = 500;

/** Removes what has expired: results, leases whose request never ended, counters of past minutes. */
export async function sweep(documents: Documents, now: number): Promise<void> {
	for (const tenant of await listTenants(documents)) {
		await reapLeases(documents, tenant, now);
		await reapMinutes(documents, tenant, now);
		// A process that was down for a week finds what it missed.
		for (let days = 1; days <= 7; days++) {
			const index = ["expires", dayOf(now - days * DAY_MS)] as const;
			for (const { id } of await documents.list(tenant, "result", { index, limit: PAGE })) {
				await documents.commit(tenant, [{ op: "remove", kind: "result", id }]);
			}
		}
	}
}
