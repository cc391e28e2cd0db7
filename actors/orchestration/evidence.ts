import type { Evidence } from "../../schemas/events/retrieval.ts";
import type { RouteRow } from "../../schemas/feature.ts";
import type { Found, Routed } from "./state.ts";

const HOUR_MS = 3_600_000;

/** Passages that the route may answer from: what is older than it allows counts as missing. Age is counted at the time of the finding. */
export function usableEvidence(row: RouteRow, found: Found | undefined): readonly Evidence[] {
	if (!found || row.max_age_hours === undefined) return found?.documents ?? [];
	const oldest = found.at - row.max_age_hours * HOUR_MS;
	return found.documents.filter(({ ingested_at }) => ingested_at >= oldest);
}

/** Passages that the model has read, and that an answer may therefore cite. */
export function shownEvidence(row: RouteRow, { found, unseen }: Routed): readonly Evidence[] {
	const usable = usableEvidence(row, found);
	return usable.slice(0, usable.length - (unseen ?? usable.length));
}
