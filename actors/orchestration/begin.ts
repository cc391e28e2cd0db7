import type { EventDraft } from "../../schemas/events/all.ts";
import type { Bundle, Feature, RouteRow } from "../../schemas/feature.ts";
import type { Decision } from "../actor.ts";
import { askModel } from "./ask-model.ts";
import { classify } from "./classify.ts";
import { type Ending, end, messageStarted, standing } from "./end.ts";
import { askIngestion } from "./ingest.ts";
import type { In } from "./state.ts";
import { exceedsTokens } from "./tokens.ts";

/** Before anything is asked: classify, route, ask the first one that has to act. */
export function begin(bundle: Bundle, feature: Feature, state: In<"classifying">, seq: number): Decision {
	const { input } = state.loaded.accepted;
	const { route, reason, scores, margin } = classify(feature, input);
	const opening: EventDraft[] = [
		messageStarted(seq, feature.models.links[0]?.model ?? "none"),
		{ type: "route.decided", data: { route, reason, scores, margin, policy_version: bundle.sha256 } },
	];
	const row = feature.routes[route];
	const next = seq + opening.length;
	const first = (): Decision => {
		const ends = (how: Pick<Ending, "status" | "finish" | "words" | "error">) =>
			end({ ...standing(state), started: true, ...how }, next);
		if (!row) {
			const message = `feature "${feature.name}" is expected to have a row for route "${route}"; add it to feature.yaml`;
			return ends({ status: "failed", finish: "error", error: { code: "internal", message } });
		}
		if (route === "refuse") return ends({ status: "refused", finish: "refused", words: feature.notices.refused });
		if (route === "ingest") return askIngestion(state, next);
		if (exceedsTokens(input, feature.budget.input)) {
			const message = `the input is expected to have at most ${feature.budget.input} tokens, its ${input.length} characters have more; shorten it`;
			return ends({ status: "failed", finish: "error", words: message, error: { code: "context_too_long", message } });
		}
		if (row.evidence !== "none") return askRetrieval(feature, row, state);
		const course = { route, found: undefined, unseen: undefined, steps: [] };
		return askModel({ bundle, feature, row }, { ...state, ...course, name: "assembling", from: "accepted" }, next);
	};
	const { audience, final, events } = first();
	return { audience, final, events: [...opening, ...events] };
}

function askRetrieval({ budget }: Feature, row: RouteRow, { loaded }: In<"classifying">): Decision {
	const { accepted, window } = loaded;
	return {
		audience: "retrieval",
		final: false,
		events: [
			{ type: "state.entered", data: { from: "accepted", to: "retrieving" } },
			{
				type: "retrieval.requested",
				data: {
					query: accepted.input,
					history: window.flatMap(({ role, text }) => (role === "user" ? [text] : [])),
					labels: accepted.roles,
					budget_tokens: Math.max(1, budget.evidence),
					min_score: row.min_score,
					deadline_at: accepted.deadline_at,
				},
			},
		],
	};
}
