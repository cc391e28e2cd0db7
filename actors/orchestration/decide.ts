import type { ErrorCode } from "../../schemas/errors.ts";
import type { Bundle } from "../../schemas/feature.ts";
import type { Decision } from "../actor.ts";
import { askModel } from "./ask-model.ts";
import { begin } from "./begin.ts";
import { conclude } from "./conclude.ts";
import { brokenStatus, end, standing } from "./end.ts";
import { concludeIngestion } from "./ingest.ts";
import type { In, Live, State } from "./state.ts";
import { stopOf, stopRequest } from "./stop.ts";

/** Decides from the state alone; SPEC.md has the table. A state that waits decides nothing unless the request has to stop. */
export function decide(bundle: Bundle | undefined, state: State, seq: number): Decision | undefined {
	if (state.name === "ended" || state.name === "accepted") return undefined;
	if (state.name === "rejected") return endRejected(state, seq);
	const stop = stopOf(state);
	if (stop) return stopRequest(state, stop, seq);

	const name = state.loaded.accepted.feature;
	const feature = bundle?.features[name];
	switch (state.name) {
		case "retrieving":
		case "ingesting":
		case "inferring":
		case "calling_tools":
			return undefined;
		case "ingested":
			return concludeIngestion(feature?.notices.retrieval_down, state, seq);
		case "classifying":
			return bundle && feature ? begin(bundle, feature, state, seq) : unserved(state, seq, "unknown_feature", name);
		case "assembling":
		case "validating": {
			const row = feature?.routes[state.route];
			if (!bundle || !feature || !row) return unserved(state, seq, "internal", `${name}/${state.route}`);
			const serving = { bundle, feature, row };
			return state.name === "assembling" ? askModel(serving, state, seq) : conclude(serving, state, seq);
		}
	}
}

/** The session has said why: its error is in the log already. */
const endRejected = (state: In<"rejected">, seq: number): Decision =>
	end({ ...standing(state), status: "failed", finish: "error", words: state.failure.message }, seq);

/** The configuration under this hash does not hold what the request needs; trying again would change nothing. */
function unserved(
	state: Exclude<Live, { name: "accepted" | "rejected" }>,
	seq: number,
	code: ErrorCode,
	what: string,
): Decision {
	const stood = standing(state);
	const message = `"${what}" is expected in configuration ${state.loaded.accepted.config_sha}, and is not there; submit the request again`;
	return end({ ...stood, status: brokenStatus(stood), finish: "error", error: { code, message } }, seq);
}
