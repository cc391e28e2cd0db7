import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { bundleOf } from "./testing/bundle.ts";
import { given, streamed, together } from "./testing/given.ts";
import { BEGUN_AT, decisionAt } from "./testing/log.ts";
import {
	answers,
	asks,
	breaksOff,
	calls,
	cancelled,
	deadlineFired,
	found,
	graceFired,
	passage,
	row,
	toolSays,
} from "./testing/tellings.ts";

const bundle = bundleOf();
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("[O14] a cancel before the session has answered waits for it, then ends the request", () => {
	given(bundle, cancelled).decidesNothing();
	given(bundle, cancelled, asks("Good morning")).decides({
		audience: "session",
		final: true,
		events: [
			{ type: "message.started" },
			{ type: "state.entered", data: { from: "accepted", to: "ended" } },
			{ type: "trace.recorded" },
			{ type: "usage.completed", data: { attempts: [], partial: true } },
			{
				type: "message.completed",
				data: { status: "cancelled", finish_reason: "cancelled", text_sha256: sha256("") },
			},
		],
	});
});

test("[O14] a cancel that stands in the log behind the evidence starts no model call", () => {
	const end = given(bundle, asks("the handbook"), together(found(passage(1, "Nine to five.")), cancelled));
	expect(end.says("message.completed")).toMatchObject({ status: "cancelled" });
	expect(end.says("state.entered")).toEqual({ from: "retrieving", to: "ended" });
});

test("[O14] a search in flight is not waited for", () => {
	const end = given(bundle, asks("the handbook"), deadlineFired);
	expect(end.says("request.error").code).toBe("deadline_exceeded");
	expect(end.says("message.completed")).toMatchObject({ status: "failed", finish_reason: "deadline" });
});

test("[O14] a model that asks for tools after a cancel gets none", () => {
	const end = given(bundle, asks("my order 7"), together(cancelled, calls("look_up")));
	expect(end.says("message.completed")).toMatchObject({ status: "cancelled", finish_reason: "cancelled" });
});

test("[O14] the first reason to stop stands", () => {
	const end = given(bundle, asks("the handbook"), together(cancelled, deadlineFired));
	expect(end.says("message.completed").status).toBe("cancelled");
});

test("[O14] the deadline ends the request in the same way, whoever's clock found it", () => {
	const byWorker = given(bundle, asks("Good morning"), breaksOff("Good mor", "deadline"));
	const byTimer = given(bundle, asks("Good morning"), deadlineFired, breaksOff("Good mor", "cut"));
	for (const end of [byWorker, byTimer]) {
		expect(end.says("request.error").code).toBe("deadline_exceeded");
		expect(end.says("message.completed")).toMatchObject({
			status: "incomplete",
			finish_reason: "deadline",
			text_sha256: sha256("Good mor"),
		});
	}
});

test("[O15] a model call in flight gets three seconds from the stop, asked for once", () => {
	const stopped = given(bundle, asks("Good morning"), cancelled);
	stopped.decides({
		audience: "stream",
		final: false,
		events: [{ type: "timer.requested", data: { timer: "grace", at: BEGUN_AT + 2_000 + 3_000 } }],
	});
	expect(decisionAt(bundle, stopped.after)).toBeUndefined();
	given(bundle, asks("Good morning"), cancelled, deadlineFired).decidesNothing();
});

test("[O15] what the stopped call reports in time is the text and the bill", () => {
	const attempts = [row({ outcome: "cancelled" })];
	const end = given(
		bundle,
		asks("Good morning"),
		cancelled,
		answers("Good mor", { outcome: "cancelled", finish_reason: null, attempts }),
	);
	expect(end.says("usage.completed")).toMatchObject({ estimated: false, attempts: [{ outcome: "cancelled" }] });
	expect(end.says("message.completed")).toMatchObject({ status: "cancelled", text_sha256: sha256("Good mor") });
});

test("[O15] a call that does not report in time leaves an estimate and no hash", () => {
	const end = given(bundle, asks("Good morning"), streamed("Good mor"), cancelled, graceFired);
	end.decides({
		audience: "session",
		final: true,
		events: [
			{ type: "state.entered", data: { from: "inferring", to: "ended" } },
			{ type: "trace.recorded" },
			{ type: "usage.completed", data: { estimated: true, partial: true, attempts: [{ outcome: "lost" }] } },
			{ type: "message.completed", data: { status: "cancelled", text_sha256: null } },
		],
	});
	expect(end.says("usage.completed").input_tokens).toBeGreaterThan(0);
	expect(end.says("usage.completed").cost_micros).toBeGreaterThan(0);
});

test("[O15] tools in flight get the same time, and their text is known", () => {
	const story = [asks("my order 7"), calls("look_up", "look_up"), cancelled] as const;
	expect(given(bundle, ...story).says("timer.requested").timer).toBe("grace");
	given(bundle, ...story, toolSays(0, "shipped")).decidesNothing();
	const reported = given(bundle, ...story, toolSays(0, "shipped"), toolSays(1, "shipped"));
	expect(reported.says("state.entered")).toEqual({ from: "calling_tools", to: "ended" });
	const late = given(bundle, ...story, graceFired);
	expect(late.says("message.completed")).toMatchObject({ status: "cancelled", text_sha256: sha256("") });
});

test("[O16] an answer that is whole when the stop is found is delivered", () => {
	const end = given(bundle, asks("Good morning"), deadlineFired, answers("Good morning to you."));
	expect(end.says("message.completed").status).toBe("completed");
});
