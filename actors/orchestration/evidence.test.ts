import { expect, test } from "vitest";
import { bundleOf, desk, taskRow } from "./testing/bundle.ts";
import { given } from "./testing/given.ts";
import { BEGUN_AT } from "./testing/log.ts";
import { accepted, answers, asks, calls, found, loaded, passage, searchFailed, toolSays } from "./testing/tellings.ts";

const bundle = bundleOf();
const withEvidence = (evidence: "required" | "optional") => ({ ...taskRow, evidence });
const optional = bundleOf({ ...desk, routes: { ...desk.routes, grounded: withEvidence("optional") } });
const old = { ingested_at: BEGUN_AT - 25 * 3_600_000 };

test("[O7] a route with evidence asks retrieval first", () => {
	const window = [
		{ role: "user" as const, text: "Hello", tokens: 1 },
		{ role: "assistant" as const, text: "Hello to you", tokens: 3 },
	];
	given(bundle, loaded({ accepted: accepted("what says the handbook"), window })).decides({
		audience: "retrieval",
		final: false,
		events: [
			{ type: "message.started" },
			{ type: "route.decided", data: { route: "grounded" } },
			{ type: "state.entered", data: { from: "accepted", to: "retrieving" } },
			{
				type: "retrieval.requested",
				data: { query: "what says the handbook", history: ["Hello"], labels: ["agent"], budget_tokens: 300 },
			},
		],
	});
});

test.each([
	["a failed search", searchFailed, "evidence_unavailable", desk.notices.retrieval_down],
	["no passage", found(), "evidence_missing", desk.notices.no_evidence],
	["old passages alone", found(passage(1, "Nine to five.", old)), "evidence_missing", desk.notices.no_evidence],
	[
		"no room for any",
		found(passage(1, "Nine to five.", { tokens: 400 })),
		"evidence_missing",
		desk.notices.no_evidence,
	],
])("[O7] with %s, required evidence cannot be had and no model is asked", (_, telling, code, words) => {
	given(bundle, asks("what says the handbook"), telling).decides({
		audience: "session",
		final: true,
		events: [
			{ type: "degradation.applied", data: { mode: "retrieval", to: "no answer", user_notice: words } },
			{ type: "request.error", data: { code, stage: "retrieving" } },
			{ type: "output_text.delta", data: { text: words } },
			{ type: "output_text.done" },
			{ type: "state.entered", data: { from: "retrieving", to: "ended" } },
			{ type: "trace.recorded" },
			{ type: "usage.completed", data: { attempts: [] } },
			{ type: "message.completed", data: { status: "incomplete", finish_reason: "degraded" } },
		],
	});
});

test("[O8] [O20] without optional evidence the answer comes with a notice", () => {
	given(optional, asks("what says the handbook"), searchFailed).decides({
		audience: "inference",
		final: false,
		events: [
			{ type: "degradation.applied", data: { mode: "retrieval", user_notice: desk.notices.without_documents } },
			{ type: "state.entered", data: { from: "retrieving", to: "inferring" } },
			{ type: "inference.requested" },
		],
	});
});

test("[O9] old passages are neither read nor citable", () => {
	const story = [
		asks("what says the handbook"),
		found(passage(1, "Nine to five."), passage(2, "Eight to four.", old)),
	] as const;
	const asked = given(bundle, ...story).says("inference.requested");
	expect(asked.prompt[0]?.content).toContain("[1] Chapter 1\nNine to five.");
	expect(asked.prompt[0]?.content).not.toContain("Eight to four");
	expect(asked.dropped).toEqual({ evidence: 0, stale: 1, window: 0 });
	const end = given(bundle, ...story, answers("Eight to four [2]."));
	expect(end.says("request.error").message).toContain("marks 2 name no passage out of 1");
});

test("[O9] a passage that the prompt had no room for cannot be cited", () => {
	const story = [
		asks("what says the handbook"),
		found(passage(1, "Nine to five."), passage(2, "Eight to four.", { tokens: 290 })),
	] as const;
	expect(given(bundle, ...story).says("inference.requested").dropped.evidence).toBe(1);
	expect(given(bundle, ...story, answers("Eight to four [2].")).says("message.completed").status).toBe("failed");
});

test("[O9] a passage that the first prompt showed stays citable when a later one has no room for it", () => {
	const task = withEvidence("required");
	const end = given(
		bundleOf({ ...desk, routes: { ...desk.routes, task }, models: { ...desk.models, context_tokens: 750 } }),
		asks("my order 7"),
		found(passage(1, "Nine to five.", { tokens: 60 }), passage(2, "Shipped on Mondays.", { tokens: 60 })),
		calls("look_up"),
		toolSays(0, "word ".repeat(260)),
		answers("Shipped on Mondays [2]."),
	);
	const dropped = end.after.flatMap(({ events }) =>
		events.flatMap((event) => (event.type === "inference.requested" ? [event.data.dropped.evidence] : [])),
	);
	expect(dropped).toEqual([0, 1]);
	expect(end.says("citation.added").n).toBe(2);
});

test("[O9] an answer cites what it was shown", () => {
	const end = given(
		bundle,
		asks("what says the handbook"),
		found(passage(1, "The desk is open from nine to five.")),
		answers("The desk is open from nine to five [1]."),
	);
	expect(end.says("citation.added")).toEqual({
		n: 1,
		document_id: "d1",
		chunk_id: "d1.1",
		title: "Chapter 1",
		quote: "The desk is open from nine to five",
		verified: true,
	});
	expect(end.says("message.completed").status).toBe("completed");
});
