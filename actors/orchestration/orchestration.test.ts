import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { visibleText } from "../../schemas/final.ts";
import { orchestration } from "./orchestration.ts";
import { bundleOf, desk } from "./testing/bundle.ts";
import { given, type Telling } from "./testing/given.ts";
import { decisionAt, fold, nextSeq } from "./testing/log.ts";
import {
	accepted,
	answers,
	asks,
	breaksOff,
	calls,
	DEADLINE_AT,
	found,
	loaded,
	passage,
	row,
	sessionBusy,
	toolSays,
} from "./testing/tellings.ts";

const bundle = bundleOf();
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("[O1] the first decision opens with message.started, and asks the model on a route without evidence", () => {
	given(bundle, asks("Good morning")).decides({
		audience: "inference",
		final: false,
		events: [
			{ type: "message.started", data: { message_id: "m_3", model_hint: "large", resumable: true } },
			{ type: "route.decided", data: { route: "direct", reason: "no rule matched", policy_version: "c1" } },
			{ type: "state.entered", data: { from: "accepted", to: "inferring" } },
			{
				type: "inference.requested",
				data: {
					prompt: [
						{ role: "system", content: desk.prompt },
						{ role: "user", content: "Good morning" },
					],
					prompt_version: "p1",
					chain: desk.models.links,
					tools: [],
					budget: { attempts: 3, deadline_at: DEADLINE_AT, max_output_tokens: 256 },
				},
			},
		],
	});
});

test("[O1] an end that comes before anything was opened opens the message itself", () => {
	given(bundle, sessionBusy).decides({
		audience: "session",
		final: true,
		events: [
			{ type: "message.started", data: { message_id: "m_2", model_hint: "none" } },
			{ type: "output_text.delta", data: { text: "the session has an open turn (r2)" } },
			{ type: "output_text.done" },
			{ type: "state.entered", data: { from: "accepted", to: "ended" } },
			{ type: "usage.completed", data: { attempts: [], cost_micros: 0, partial: true } },
			{ type: "message.completed", data: { status: "failed", finish_reason: "error" } },
		],
	});
});

test("[O2] the states that the log names are a chain from accepted to ended", () => {
	const { after } = given(
		bundle,
		asks("my order 7"),
		calls("look_up"),
		toolSays(0, "shipped"),
		answers("It is shipped."),
	);
	const entered = after.flatMap(({ events }) =>
		events.flatMap((event) => (event.type === "state.entered" ? event.data : [])),
	);
	expect(entered).toEqual([
		{ from: "accepted", to: "inferring" },
		{ from: "inferring", to: "calling_tools" },
		{ from: "calling_tools", to: "inferring" },
		{ from: "inferring", to: "ended" },
	]);
});

test("[O3] an answer that passes ends the request: accounting and completion last in one entry for the session", () => {
	given(bundle, asks("Good morning"), answers("Good morning to you.")).decides({
		audience: "session",
		final: true,
		events: [
			{ type: "output_text.done", data: { text: "Good morning to you.", text_sha256: sha256("Good morning to you.") } },
			{ type: "validation.completed", data: { verdict: "pass", release_mode: "stream" } },
			{ type: "state.entered", data: { from: "inferring", to: "ended" } },
			{ type: "trace.recorded" },
			{ type: "usage.completed", data: { partial: false, estimated: false } },
			{
				type: "message.completed",
				data: {
					status: "completed",
					finish_reason: "stop",
					text_sha256: sha256("Good morning to you."),
					final_seq: 14,
				},
			},
		],
	});
});

test("[O3] nothing is decided after the end", () => {
	const { after } = given(bundle, asks("Good morning"), answers("Good morning to you."));
	expect(decisionAt(bundle, after)).toBeUndefined();
});

test("[O4] every decision follows again from the entries before it", () => {
	const { after } = given(
		bundle,
		asks("my order 7"),
		calls("look_up"),
		toolSays(0, "shipped"),
		answers("It is shipped."),
	);
	const own = after.filter(({ actor }) => actor === "orchestration");
	expect(own).toHaveLength(4);
	for (const { after: position, audience, final, events } of own) {
		const drafts = events.map(({ type, data }) => ({ type, data }));
		expect(decisionAt(bundle, after.slice(0, position))).toEqual({ audience, final, events: drafts });
	}
});

test("[O4] the configuration is the one that the request was accepted under", () => {
	const { before, after } = given(bundle, asks("Good morning"), answers("Good morning to you."));
	expect(orchestration.configuration(orchestration.initial)).toBeUndefined();
	expect(orchestration.configuration(fold(before))).toBe("c1");
	expect(orchestration.configuration(fold(after))).toBeUndefined();
});

test("[O5] a state that waits decides nothing", () => {
	const { after } = given(bundle, asks("what says the handbook"));
	expect(fold(after).name).toBe("retrieving");
	expect(decisionAt(bundle, after)).toBeUndefined();
});

test("[O6] the route refuse ends without a call of anybody", () => {
	given(bundle, asks("tell me the password")).decides({
		audience: "session",
		final: true,
		events: [
			{ type: "message.started" },
			{ type: "route.decided", data: { route: "refuse" } },
			{ type: "output_text.delta", data: { text: desk.notices.refused } },
			{ type: "output_text.done" },
			{ type: "state.entered", data: { from: "accepted", to: "ended" } },
			{ type: "trace.recorded" },
			{ type: "usage.completed", data: { attempts: [], partial: false } },
			{ type: "message.completed", data: { status: "refused", finish_reason: "refused", final_seq: 10 } },
		],
	});
});

test("[O17] a stream that breaks off keeps what was seen and says so", () => {
	const end = given(bundle, asks("Good morning"), breaksOff("Good mor"));
	expect(end.says("message.completed")).toMatchObject({ status: "incomplete", finish_reason: "error" });
	expect(end.says("request.error")).toMatchObject({ code: "provider_failed", stage: "inferring", retryable: true });
	expect(end.says("output_text.done").text).toBe("Good mor\n\nThe answer breaks off here: the model's stream failed.");
});

test("[O17] no model at all is a failure in plain words", () => {
	const end = given(bundle, asks("Good morning"), breaksOff("", "unreachable"));
	expect(end.says("message.completed").status).toBe("failed");
	expect(end.says("output_text.delta").text).toBe("No model gave an answer: the stream ended without an end.");
});

test("[O17] an answer without a finish reason is not one", () => {
	const end = given(bundle, asks("Good morning"), answers("Good mor", { finish_reason: null }));
	expect(end.says("message.completed")).toMatchObject({ status: "incomplete", finish_reason: "error" });
});

test("[O18] one failed check retracts the text of every model call", () => {
	const end = given(
		bundle,
		asks("my order 7"),
		answers("Let me see. ", {
			finish_reason: "tool_calls",
			tool_calls: [{ id: "1", name: "look_up", arguments: "{}" }],
		}),
		toolSays(0, "shipped"),
		answers("x".repeat(2_001)),
	);
	end.decides({
		audience: "session",
		final: true,
		events: [
			{ type: "request.error", data: { code: "validation_failed" } },
			{ type: "output_text.retracted", data: { from_seq: 7, reason: "validation_failed" } },
			{ type: "output_text.delta" },
			{ type: "output_text.done" },
			{ type: "validation.completed", data: { verdict: "block" } },
			{ type: "state.entered" },
			{ type: "trace.recorded" },
			{ type: "usage.completed", data: { partial: true } },
			{ type: "message.completed", data: { status: "failed", finish_reason: "error" } },
		],
	});
	const words = 'This answer was withdrawn: the answer failed check "length": 2013 of at most 2000 characters.';
	expect(visibleText(end.after.flatMap(({ events }) => events))).toBe(words);
	expect(end.says("message.completed").text_sha256).toBe(sha256(words));
});

test("[O18] an answer cut by its length is incomplete, one that the provider's filter stopped is refused", () => {
	const cut = given(bundle, asks("Good morning"), answers("Good", { finish_reason: "length" }));
	expect(cut.says("message.completed")).toMatchObject({ status: "incomplete", finish_reason: "length" });
	const filtered = given(bundle, asks("Good morning"), answers("Good", { finish_reason: "content_filter" }));
	expect(filtered.says("message.completed")).toMatchObject({ status: "refused", finish_reason: "content_filter" });
});

test.each<[string, string, Telling]>([
	["not_empty", "Good morning", answers(" ")],
	["length", "Good morning", answers("x".repeat(2_001))],
	["citations", "what says the handbook", answers("Nine to five [7].")],
])("[O18] only the validator %s stands between this answer and the client", (validator, input, answer) => {
	const evidence = input === "Good morning" ? [] : [found(passage(1, "Open from nine to five."))];
	const under = (feature: typeof desk) =>
		given(bundleOf(feature), asks(input), ...evidence, answer).says("message.completed").status;
	expect(under(desk)).toBe("failed");
	expect(under({ ...desk, validators: desk.validators.filter(({ kind }) => kind !== validator) })).toBe("completed");
});

test("[O19] usage has a row for every attempt of every model call, lost ones too", () => {
	const lost = row({ outcome: "lost", estimated: true, cost_micros: 200 });
	const usage = given(
		bundle,
		asks("my order 7"),
		answers("", {
			finish_reason: "tool_calls",
			tool_calls: [{ id: "1", name: "look_up", arguments: "{}" }],
			attempts: [lost, row({ attempt: 2 })],
		}),
		toolSays(0, "shipped"),
		answers("It is shipped.", { attempts: [row({ provider: "second" })] }),
	).says("usage.completed");
	expect(usage).toMatchObject({
		input_tokens: 345,
		output_tokens: 66,
		cached_tokens: 30,
		reasoning_tokens: 6,
		cost_micros: 1_000,
		estimated: true,
		partial: false,
	});
	expect(usage.attempts.map(({ attempt, provider, outcome }) => [attempt, provider, outcome])).toEqual([
		[1, "first", "lost"],
		[2, "first", "completed"],
		[3, "second", "completed"],
	]);
});

test("[O22] a feature or route that the configuration does not hold ends the request at once", () => {
	const elsewhere = given(bundle, loaded({ accepted: { ...accepted("Good morning"), feature: "gone" } }));
	expect(elsewhere.says("request.error")).toMatchObject({ code: "unknown_feature" });
	expect(elsewhere.says("request.error").message).toContain('"gone" is expected in configuration c1');
	expect(elsewhere.says("message.completed").status).toBe("failed");
	const routeless = given(bundleOf({ ...desk, routes: {} }), asks("Good morning"));
	expect(routeless.says("request.error").message).toContain('"desk" is expected to have a row for route "direct"');
	expect(routeless.says("message.started").message_id).toBe("m_3");
});

test("[O22] a poisoned request ends with the attempts and the text that the state knows", () => {
	const { before } = given(bundle, asks("Good morning"), answers("Good morning to you."));
	const { audience, events } = orchestration.abandon(fold(before), nextSeq(before), "10 deliveries");
	expect(audience).toBe("session");
	expect(events.map(({ type }) => type)).toEqual([
		"request.error",
		"output_text.done",
		"state.entered",
		"trace.recorded",
		"usage.completed",
		"message.completed",
	]);
	expect(events.at(-1)?.data).toMatchObject({ status: "failed", text_sha256: sha256("Good morning to you.") });
	expect(events.at(-2)?.data).toMatchObject({ attempts: [{ cost_micros: 400 }] });
});

test("[O22] a request that is poisoned before it is known opens its message and leaves the text open", () => {
	const { events } = orchestration.abandon(orchestration.initial, 4, "10 deliveries");
	expect(events[0]).toMatchObject({ type: "message.started" });
	expect(events.at(-1)?.data).toMatchObject({ status: "failed", text_sha256: null });
});
