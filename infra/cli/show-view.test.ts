import { expect, test } from "vitest";
import type { Draft, Entry } from "../../schemas/entry.ts";
import { type Start, stamp } from "../../subjects/encoding.ts";
import { timeline } from "./show-view.ts";
import { tailLines } from "./tail-view.ts";
import { plain } from "./terminal.ts";

const start: Start = {
	address: { tenant: "acme", request: "r_aaaaaaaaaaaaaaaaaaaaaaaaaa", session: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
	trace: "00-11111111111111111111111111111111-2222222222222222-01",
};
const BEGIN = Date.UTC(2026, 0, 2, 3, 4, 5);

type Step = { after: number; writer: string } & Partial<Draft> & Pick<Draft, "actor" | "audience" | "events">;

/** The log that these steps make: each entry follows the one before it, `after` ms later. */
function logOf(steps: readonly Step[]): Entry[] {
	const entries: Entry[] = [];
	let at = BEGIN;
	for (const { after, writer, ...draft } of steps) {
		at += after;
		const entry = stamp({ cause: 0, final: false, attempt: 0, ...draft }, entries.at(-1) ?? start, {
			id: "x",
			writer,
			at,
		});
		entries.push({ ...entry, position: 40 + entries.length });
	}
	return entries;
}

const accepted: Step = {
	after: 0,
	writer: "gateway-1",
	actor: "gateway",
	audience: "session",
	events: [
		{
			type: "request.accepted",
			data: {
				feature: "chat",
				config_sha: "0".repeat(64),
				principal: "anna",
				roles: [],
				input: "the secret plan",
				fingerprint: "f".repeat(64),
				door: "http",
				deadline_ms: 60_000,
			},
		},
	],
};
const tokens = { uncached_input: 10, cache_read: 0, cache_write: 0, output: 2, reasoning: 0 };
const summary = { provider: "local", model: "m", tokens, cost_micros: 7, estimated: true };
const ended = { text: "", finish_reason: null, tool_calls: [], error: null, retry_after_ms: null, first_text_at: null };
const answering = { actor: "inference", cause: 1 } as const;
const takeover: Step[] = [
	accepted,
	{
		...answering,
		after: 5,
		writer: "inference-2",
		attempt: 1,
		audience: "stream",
		events: [{ type: "inference.attempt_started", data: { attempt: 1, provider: "local", model: "m" } }],
	},
	{
		...answering,
		after: 20,
		writer: "inference-2",
		attempt: 1,
		audience: "stream",
		events: [{ type: "output_text.delta", data: { text: "Half" } }],
	},
	{
		...answering,
		after: 2_100,
		writer: "inference-3",
		attempt: 2,
		audience: "stream",
		events: [
			{ type: "inference.attempt_ended", data: { ...summary, ...ended, attempt: 1, outcome: "lost" } },
			{ type: "output_text.retracted", data: { from_seq: 3, reason: "takeover" } },
		],
	},
];

test("a timeline names gaps, lost attempts, takeovers and withdrawn text, and hides what people wrote", () => {
	const shown = timeline(logOf(takeover), { unredacted: false, paint: plain, now: BEGIN + 5_125 });
	expect(shown).toMatchInlineSnapshot(`
		"r_aaaaaaaaaaaaaaaaaaaaaaaaaa
		tenant acme · session s_aaaaaaaaaaaaaaaaaaaaaaaaaa · trace 11111111111111111111111111111111 · began 2026-01-02T03:04:05.000Z

		  1  @40  +0 ms  gateway → session · by gateway-1
		      #1 request.accepted  feature=chat config_sha=00000000… principal=[personal] roles=[] input=[personal] fingerprint=ffffffff… door=http deadline_ms=60000

		  2  @41  +5 ms  inference → stream · answers #1 · attempt 1 · by inference-2
		      #2 inference.attempt_started  attempt=1 provider=local model=m

		  3  @42  +25 ms  inference → stream · answers #1 · attempt 1 · by inference-2
		      #3 output_text.delta  text=[personal]

		⋯ 2.10 s without an entry

		  4  @43  +2.13 s  inference → stream · answers #1 · attempt 2 · by inference-3
		      ! takeover: inference-2 did not finish its answer to #1
		      ! attempt 1 was lost with its process
		      ! text from #3 on is withdrawn: takeover
		      #4 inference.attempt_ended  attempt=1 provider=local model=m outcome=lost cost_micros=7 estimated=true text=[personal] finish_reason=null tool_calls=[] error=null retry_after_ms=null first_text_at=null
		         tokens: {uncached_input 10, cache_read 0, cache_write 0, output 2, reasoning 0}
		      #5 output_text.retracted  from_seq=3 reason=takeover

		no end yet: inference is to act, last entry 3.00 s ago · 4 entries, 5 events
		"
	`);
	expect(shown).not.toMatch(/secret plan|Half|anna/);
});

test("a timeline ends with the end of the request", () => {
	const end: Step = {
		after: 10,
		writer: "orchestration-2",
		actor: "orchestration",
		audience: "session",
		cause: 1,
		final: true,
		events: [
			{
				type: "message.completed",
				data: { status: "cancelled", finish_reason: "cancelled", text_sha256: null, final_seq: 2 },
			},
		],
	};
	const shown = timeline(logOf([accepted, end]), { unredacted: true, paint: plain, now: 0 });
	expect(shown.trimEnd().split("\n").at(-1)).toBe("end: cancelled after 10 ms · 2 entries, 2 events");
	expect(shown).toContain('input="the secret plan"');
});

test("a tail shows a line per event, with its plain public fields", () => {
	const lines = logOf(takeover).flatMap((entry) => tailLines(entry, { unredacted: false, paint: plain }));
	expect(lines.join("\n")).toMatchInlineSnapshot(`
		"03:04:05.000 r_aaaaaaaa #1    gateway       request.accepted          r_aaaaaaaaaaaaaaaaaaaaaaaaaa feature=chat config_sha=00000000… fingerprint=ffffffff… door=http deadline_ms=60000
		03:04:05.005 r_aaaaaaaa #2    inference     inference.attempt_started attempt=1 provider=local model=m
		03:04:05.025 r_aaaaaaaa #3    inference     output_text.delta
		03:04:07.125 r_aaaaaaaa #4    inference     inference.attempt_ended   attempt=1 provider=local model=m outcome=lost cost_micros=7 estimated=true
		03:04:07.125 r_aaaaaaaa #5    inference     output_text.retracted     from_seq=3 reason=takeover"
	`);
});

test("a tail shows what people wrote when it is asked to, without what could steer the terminal", () => {
	const typed: Step = { ...accepted, events: [{ type: "cancel.requested", data: { by: "an\u001b[2Jna\u009b1m" } }] };
	const lines = logOf([typed]).flatMap((entry) => tailLines(entry, { unredacted: true, paint: plain }));
	expect(lines.join("\n")).toMatch(/cancel\.requested +by=.?an\[2Jna1m/);
});
