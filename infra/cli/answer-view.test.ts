import { expect, test } from "vitest";
import type { ClientEvent } from "../../gateway/client-stream.ts";
import { openAnswerView } from "./answer-view.ts";

const request_id = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa";
const usage = {
	input_tokens: 812,
	output_tokens: 90,
	cached_tokens: 100,
	reasoning_tokens: 0,
	cost_micros: 1230,
	currency: "USD",
	attempts: [{}, {}],
	partial: false,
	estimated: true,
};
const completed = { type: "message.completed", status: "completed", finish_reason: "stop" };
const delta = (text: string) => ({ type: "output_text.delta", text });

/** Numbers the events as the log does and shows them one after another; notes are marked by their tone. */
function shown(live: boolean, events: readonly ({ type: string } & Record<string, unknown>)[]): string {
	const view = openAnswerView({ live, elapsed: () => 1_234 });
	const pieces = events.flatMap((event, at) =>
		view.take({ request_id, seq: at + 1, prev: at, ...event } satisfies ClientEvent),
	);
	return pieces.map((piece) => (piece.kind === "answer" ? piece.text : `\n<${piece.tone}> ${piece.text}\n`)).join("");
}

test("an answer shows its text, what was done for it, its sources and its cost", () => {
	const documents = [
		{ n: 1, document_id: "d_1", title: "guide.md › Guide › Part › Limits", rerank_score: 0.9 },
		...[2, 3, 4, 5, 6].map((n) => ({ n, document_id: `d_${n}`, title: `${n}.md`, rerank_score: 0.5 })),
	];
	expect(
		shown(true, [
			{ type: "request.accepted", session_id: "s_a", feature: "assistant" },
			{ type: "state.entered", from: "accepted", to: "retrieving" },
			{ type: "retrieval.completed", count: 6, documents, took_ms: 12 },
			{ type: "tool.started", tool_call_id: "c", name: "search" },
			{ type: "tool.failed", tool_call_id: "c", name: "search", status: "timeout", took_ms: 2_500 },
			{ type: "degradation.applied", mode: "tool", from: "search", to: "none", user_notice: "A tool did not work." },
			delta("Limits are "),
			delta("ours [1]."),
			{ type: "an.event.of.a.later.version", text: "not for this client" },
			{ type: "citation.added", n: 2, title: "2.md", quote: "never said", verified: false },
			{ type: "citation.added", n: 1, title: "guide.md › Limits", quote: "Limits are ours", verified: true },
			{ type: "usage.completed", ...usage },
			completed,
		]),
	).toMatchInlineSnapshot(`
		"
		<quiet> searched: 6 passages: [1] guide.md › … › Limits, [2] 2.md, [3] 3.md, [4] 4.md, 2 more

		<quiet> tool search runs

		<quiet> tool search: timeout after 2.50 s

		<quiet> degraded, tool: search → none. A tool did not work.
		Limits are ours [1].
		<plain> [1] guide.md › Limits: “Limits are ours”

		<plain> [2] 2.md (not found in that passage): “never said”

		<quiet> completed (stop) · 812 (100 cached) + 90 tokens · $0.00123 (estimated) · 2 attempts · 1.23 s · r_aaaaaaaaaaaaaaaaaaaaaaaaaa
		"
	`);
});

test("[P12] on a terminal, withdrawn text is said to be so, and what stands of it comes again", () => {
	const retracted = (from_seq: number) => ({ type: "output_text.retracted", from_seq, reason: "attempt lost" });
	expect(
		shown(true, [
			delta("Stands. "),
			delta("Falls."),
			retracted(2),
			delta("Better."),
			retracted(1),
			delta("Best."),
			completed,
		]),
	).toMatchInlineSnapshot(`
		"Stands. Falls.
		<alert> ↑ the text above is withdrawn (attempt lost); this of it stands:
		Stands. Better.
		<alert> ↑ the text above is withdrawn (attempt lost)
		Best.
		<quiet> completed (stop) · 1.23 s · r_aaaaaaaaaaaaaaaaaaaaaaaaaa
		"
	`);
});

test("[P12] where text cannot be taken back, only what stands is shown, once", () => {
	const retracted = { type: "output_text.retracted", from_seq: 2, reason: "attempt lost" };
	const text = shown(false, [delta("Stands. "), delta("Falls."), retracted, delta("Better."), completed]);
	expect(text).toContain("Stands. Better.");
	expect(text).not.toContain("Falls");
});

test("a stored result is shown as the answer it was", () => {
	const view = openAnswerView({ live: true, elapsed: () => 5 });
	const final = {
		request_id,
		session_id: "-",
		status: "failed" as const,
		output_text: "Half an ans",
		citations: [],
		usage: null,
		finish_reason: "error",
		final_seq: 9,
		error: { code: "provider_failed" as const, message: "no model answered", retryable: true },
	};
	expect(view.take({ type: "final", request_id, final })).toMatchInlineSnapshot(`
		[
		  {
		    "kind": "answer",
		    "text": "Half an ans",
		  },
		  {
		    "kind": "note",
		    "text": "provider_failed: no model answered",
		    "tone": "alert",
		  },
		  {
		    "kind": "note",
		    "text": "failed (error) · 5 ms · r_aaaaaaaaaaaaaaaaaaaaaaaaaa",
		    "tone": "alert",
		  },
		]
	`);
	expect(view.status()).toBe("failed");
});
