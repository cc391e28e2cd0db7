import { expect, test } from "vitest";
import type { Entry } from "../../schemas/entry.ts";
import type { EventDraft } from "../../schemas/events/all.ts";
import { inference } from "./inference.ts";
import { answer, askFor, end, failure, priorOf, visibleText } from "./testing/scripted.ts";

const started = (attempt: number, provider = "one", model = "small"): EventDraft => ({
	type: "inference.attempt_started",
	data: { attempt, provider, model },
});
const said = (text: string): EventDraft => ({ type: "output_text.delta", data: { text } });
const typesOf = (entry: Entry | undefined) => entry?.events.map(({ type }) => type);

/** The account of the final entry, and what the whole log reads as: they must say the same. */
function outcomeOf(written: readonly Entry[], prior: readonly Entry[] = []) {
	const last = written.at(-1)?.events.at(-1);
	if (last?.type !== "inference.attempt_ended") throw new Error("attempt_ended is expected to be last");
	return {
		...last.data,
		rows: last.data.attempts?.map(({ attempt, outcome, estimated }) => [attempt, outcome, estimated]),
		visible: visibleText([...prior, ...written]),
	};
}

test("an answer is its start, its text and its end, with what the provider billed", async () => {
	const { written, calls } = await answer(askFor(), [["Hel", "lo", end()]]);
	expect(written.flatMap((entry) => typesOf(entry))).toEqual([
		"inference.attempt_started",
		"output_text.delta",
		"output_text.delta",
		"inference.attempt_ended",
	]);
	expect(outcomeOf(written)).toMatchObject({
		outcome: "completed",
		text: "Hello",
		visible: "Hello",
		estimated: false,
		cost_micros: 12 * 1 + 3 * 2,
		rows: [[1, "completed", false]],
	});
	expect(calls).toEqual(["one/small"]);
});

test("[L8] a takeover closes the lost attempt and retracts its text in its very first entry (row 11)", async () => {
	const ask = askFor();
	const prior = priorOf(ask, [started(1)], [said("I was go")], [said("ing to")]);
	const { written } = await answer(ask, [["Again", end()]], { prior });
	expect(written[0]?.events).toMatchObject([
		{
			type: "inference.attempt_ended",
			// Its prompt as counted by us, and the fourteen characters that it is known to have said.
			data: { attempt: 1, outcome: "lost", estimated: true, text: "", tokens: { uncached_input: 10, output: 14 } },
		},
		{ type: "output_text.retracted", data: { from_seq: 3, reason: "attempt_lost" } },
		{ type: "inference.attempt_started", data: { attempt: 2 } },
	]);
	expect(outcomeOf(written, prior)).toMatchObject({ text: "Again", visible: "Again", attempt: 2 });
});

test("[L8] the final attempt_ended lists every attempt of its cause, lost ones too (row 12)", async () => {
	const ask = askFor();
	const prior = priorOf(ask, [started(1)], [said("x")]);
	const first = await answer(ask, [[failure("overloaded")], ["ok", end()]], { prior });
	expect(outcomeOf(first.written, prior).rows).toEqual([
		[1, "lost", true],
		[2, "failed", true],
		[3, "completed", false],
	]);
	// A second death: what the second process had closed is known from the log.
	const twice = [...prior, ...first.written.slice(0, 2)];
	const second = await answer(ask, [["ok", end()]], { prior: twice });
	expect(outcomeOf(second.written, twice).rows).toEqual([
		[1, "lost", true],
		[2, "failed", true],
		[3, "lost", true],
		[4, "completed", false],
	]);
});

test("[L8] a lost attempt that said nothing has nothing to retract", async () => {
	const ask = askFor();
	const { written } = await answer(ask, [["ok", end()]], { prior: priorOf(ask, [started(1)]) });
	expect(typesOf(written[0])).toEqual(["inference.attempt_ended", "inference.attempt_started"]);
});

test("[L8] a takeover with no attempt left makes no call; the text of the lost one goes, its cost stays", async () => {
	const ask = askFor(["one/small"], 1);
	const prior = priorOf(ask, [started(1)], [said("half")]);
	const { written, calls } = await answer(ask, [], { prior });
	expect(calls).toEqual([]);
	expect(outcomeOf(written, prior)).toMatchObject({
		outcome: "failed",
		text: "",
		visible: "",
		rows: [[1, "lost", true]],
	});
});

test("[L8] a poisoned ask is answered: the lost attempt is closed and paid for, its text goes", () => {
	const ask = askFor();
	const prior = priorOf(ask, [started(1)], [said("half")]);
	expect(inference.abandon(ask, prior, "four attempts")).toMatchObject([
		{ type: "output_text.retracted", data: { from_seq: 3 } },
		{
			type: "inference.attempt_ended",
			data: { outcome: "failed", error: { kind: "poisoned" }, attempts: [{ attempt: 1, outcome: "lost" }] },
		},
	]);
});

test("[I2] a passing failure is tried again after backoff, or after what the provider asks for", async () => {
	const script = [[failure("rate_limited")], [failure("rate_limited", 750)], ["ok", end()]];
	const { written, waits, calls } = await answer(askFor(), script);
	expect(waits).toEqual([200, 750]);
	expect(calls).toHaveLength(3);
	expect(outcomeOf(written)).toMatchObject({ outcome: "completed", attempt: 3 });
});

test("[I2] three failures of one link in a row, or one that it will not get over, bring in the next of the chain", async () => {
	const tired = Array.from({ length: 3 }, () => [failure("server_error")]);
	const { calls, written } = await answer(askFor(["one/small", "two/large"]), [...tired, ["ok", end()]]);
	expect(calls).toEqual(["one/small", "one/small", "one/small", "two/large"]);
	const notice = written.flatMap(({ events }) => events).find(({ type }) => type === "degradation.applied");
	expect(notice?.data).toEqual({
		mode: "model",
		from: "one/small",
		to: "two/large",
		user_notice: "another model answers",
	});
	const gone = await answer(askFor(["one/small", "two/large"]), [[failure("unreachable")], ["ok", end()]]);
	expect([gone.calls, gone.waits]).toEqual([["one/small", "two/large"], []]);
});

test("[I2] the budget of attempts is one over retries and fallbacks", async () => {
	const failing = Array.from({ length: 9 }, () => [failure("server_error")]);
	const { calls, written } = await answer(askFor(["one/small", "two/large"], 4), failing);
	expect(calls).toHaveLength(4);
	expect(outcomeOf(written)).toMatchObject({ outcome: "failed", error: { kind: "server_error" } });
	expect(outcomeOf(written).rows).toHaveLength(4);
});

test("[I2] no attempt is begun that the deadline would not let answer", async () => {
	const { calls, waits, written } = await answer(askFor(["one/small"], 5, 500), [[failure("rate_limited", 800)]]);
	expect([calls.length, waits]).toEqual([1, []]);
	expect(outcomeOf(written)).toMatchObject({ outcome: "failed", error: { kind: "rate_limited" } });
});

test("[I2] what no provider will take is not sent to another one", async () => {
	const { calls } = await answer(askFor(["one/small", "two/large"]), [[failure("invalid_request")]]);
	expect(calls).toEqual(["one/small"]);
});

test("[I4] a stream that breaks after text was shown is retracted before the next attempt speaks", async () => {
	const { written } = await answer(askFor(["one/small", "two/large"]), [
		["Half of", failure("cut")],
		["Whole", end()],
	]);
	expect(typesOf(written[2])).toEqual([
		"inference.attempt_ended",
		"output_text.retracted",
		"degradation.applied",
		"inference.attempt_started",
	]);
	expect(outcomeOf(written)).toMatchObject({ text: "Whole", visible: "Whole" });
});

test("[I4] a stream without an end is cut, never complete", async () => {
	const { written } = await answer(askFor(), [["all there?"]]);
	expect(outcomeOf(written)).toMatchObject({
		outcome: "failed",
		error: { kind: "cut" },
		text: "all there?",
		visible: "all there?",
		estimated: true,
	});
});

test("[I4] a cancel in the middle of the text ends the attempt with the text that stands, counted by us", async () => {
	const { written, calls } = await answer(askFor(), [["so far", "cancel", " and no further", end()]]);
	expect(outcomeOf(written)).toMatchObject({
		outcome: "cancelled",
		text: "so far",
		visible: "so far",
		estimated: true,
		tokens: { uncached_input: 10, output: 6 },
		rows: [[1, "cancelled", true]],
	});
	expect(calls).toHaveLength(1);
});

test("[I4] a cancel while it waits for the next try begins none; text of the failed one is gone", async () => {
	const { written, calls } = await answer(askFor(), [["half", failure("overloaded")]], { cancelInWait: true });
	expect(calls).toHaveLength(1);
	expect(outcomeOf(written)).toMatchObject({
		outcome: "cancelled",
		text: "",
		visible: "",
		rows: [[1, "failed", true]],
	});
});

test("[I5] the bill of a failed call counts when the provider still gave it", async () => {
	const billed = failure("cut");
	const tokens = { uncached_input: 7, cache_read: 0, cache_write: 0, output: 1, reasoning: 0 };
	const { written } = await answer(askFor(), [["x", Object.assign(billed, { tokens })]]);
	expect(outcomeOf(written)).toMatchObject({ estimated: false, tokens, cost_micros: 9 });
});

test("a provider that is not set up in this process is passed over", async () => {
	const { calls, written } = await answer(askFor(["missing/none", "two/large"]), [["ok", end()]]);
	expect(calls).toEqual(["two/large"]);
	expect(outcomeOf(written).rows).toEqual([
		[1, "failed", true],
		[2, "completed", false],
	]);
});
