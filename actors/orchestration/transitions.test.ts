import { expect, test } from "vitest";
import type { Audience, Entry } from "../../schemas/entry.ts";
import type { DataOf, EventType } from "../../schemas/events/all.ts";
import { decide } from "./decide.ts";
import { evolve } from "./evolve.ts";
import { initial, type State } from "./state.ts";
import { bundleOf } from "./testing/bundle.ts";
import { given, heard } from "./testing/given.ts";
import { append, BEGUN_AT, fold } from "./testing/log.ts";
import { accepted, answers, asks, calls, found, loaded, passage, row, sessionBusy } from "./testing/tellings.ts";

type Name = State["name"];
/** `same`: the very same state. `noted`: it keeps its name and learns something. A name: the next state. */
type Expected = Name | "same" | "noted";
type Row = Record<EventType, Expected>;

// Parts of rows. An event that is new stands in none of them, so no row compiles until somebody has decided about it.
const unheard = {
	"request.accepted": "same",
	"state.entered": "same",
	"degradation.applied": "same",
	"retrieval.started": "same",
	"ingest.progress": "same",
	"inference.attempt_started": "same",
	"tool.started": "same",
	"message.started": "same",
	"output_text.delta": "same",
	"output_text.done": "same",
	"output_text.retracted": "same",
	"citation.added": "same",
	"validation.completed": "same",
	"usage.completed": "same",
} as const;
const opening = { "session.loaded": "same", "request.error": "same", "route.decided": "same" } as const;
const evidence = { "retrieval.requested": "same", "retrieval.completed": "same", "retrieval.failed": "same" } as const;
const ingestion = { "ingest.requested": "same", "ingest.completed": "same" } as const;
const model = { "inference.requested": "same", "inference.attempt_ended": "same" } as const;
const tools = { "tool.requested": "same", "tool.completed": "same", "tool.failed": "same" } as const;
const early = {
	"cancel.requested": "noted",
	"timer.fired": "noted",
	"timer.requested": "same",
	"message.completed": "ended",
} as const;
const stops = { ...early, "timer.requested": "noted" } as const;

const table: Record<Name, Row> = {
	accepted: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...early,
		"session.loaded": "classifying",
		"request.error": "rejected",
	},
	rejected: { ...unheard, ...opening, ...evidence, ...ingestion, ...model, ...tools, ...early },
	classifying: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...stops,
		"route.decided": "assembling",
	},
	retrieving: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...stops,
		"retrieval.completed": "assembling",
		"retrieval.failed": "assembling",
	},
	ingesting: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...stops,
		"retrieval.failed": "ingested",
		"ingest.completed": "ingested",
	},
	ingested: { ...unheard, ...opening, ...evidence, ...ingestion, ...model, ...tools, ...stops },
	assembling: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...stops,
		"retrieval.requested": "retrieving",
		"ingest.requested": "ingesting",
		"inference.requested": "inferring",
	},
	inferring: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...stops,
		"inference.attempt_ended": "validating",
	},
	calling_tools: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...stops,
		"tool.requested": "noted",
		"tool.completed": "assembling",
		"tool.failed": "assembling",
	},
	validating: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		...stops,
		"tool.requested": "calling_tools",
	},
	ended: {
		...unheard,
		...opening,
		...evidence,
		...ingestion,
		...model,
		...tools,
		"cancel.requested": "same",
		"timer.fired": "same",
		"timer.requested": "same",
		"message.completed": "same",
	},
};

const bundle = bundleOf();
const document = { document_id: "d", name: "d.md", media_type: "text/markdown", sha256: "ff", bytes: 1 };
const readIn = loaded({ accepted: { ...accepted("read in this"), documents: [{ type: "document", ...document }] } });
const indexed = { document_id: "d", name: "d.md", chunks: 1, version: 1, outcome: "indexed" as const };
const ingestDone = heard("retrieval", { type: "ingest.completed", data: { documents: [indexed], took_ms: 1 } });
const order = asks("my order 7");

/** One of each, as a story leads there. */
const states: { [N in Name]: State } = {
	accepted: initial,
	rejected: fold(given(bundle, sessionBusy).before),
	classifying: fold(given(bundle, asks("Good morning")).before),
	retrieving: fold(given(bundle, asks("the handbook")).after),
	ingesting: fold(given(bundle, readIn).after),
	ingested: fold(given(bundle, readIn, ingestDone).before),
	assembling: fold(given(bundle, asks("the handbook"), found(passage(1, "Nine to five."))).before),
	inferring: fold(given(bundle, asks("Good morning")).after),
	calling_tools: fold(given(bundle, order, calls("look_up")).after),
	validating: fold(given(bundle, order, calls("look_up")).before),
	ended: fold(given(bundle, asks("Good morning"), answers("Good morning to you.")).after),
};

const call = { tool_call_id: "call_9", name: "look_up" };
const usage = { input_tokens: 0, output_tokens: 0, cached_tokens: 0, reasoning_tokens: 0, cost_micros: 0 };
const samples: { [T in EventType]: DataOf<T> } = {
	"request.accepted": {
		feature: "desk",
		config_sha: "c1",
		principal: "p",
		roles: [],
		input: "Hi",
		fingerprint: "f",
		door: "http",
		deadline_ms: 1,
	},
	"request.error": { code: "session_busy", stage: "session", retryable: true, message: "busy" },
	"state.entered": { from: "accepted", to: "inferring" },
	"route.decided": { route: "direct", reason: "rules", scores: {}, margin: 0, policy_version: "c1" },
	"degradation.applied": { mode: "model", from: "a", to: "b", user_notice: "n" },
	"cancel.requested": { by: "p" },
	"timer.requested": { timer: "grace", at: BEGUN_AT },
	"timer.fired": { timer: "deadline", at: BEGUN_AT },
	"session.loaded": { accepted: accepted("Hi"), window: [], dropped_turns: 0, version: 1 },
	"retrieval.requested": { query: "q", history: [], labels: [], budget_tokens: 1, min_score: 0, deadline_at: 1 },
	"retrieval.started": { rewrites: [] },
	"retrieval.completed": { rewrites: [], documents: [], dropped: [], took_ms: 1 },
	"retrieval.failed": { code: "c", message: "m" },
	"ingest.requested": { documents: [document], deadline_at: 1 },
	"ingest.progress": { document: "d", done: 1, total: 1 },
	"ingest.completed": { documents: [indexed], took_ms: 1 },
	"inference.requested": {
		prompt: [],
		prompt_version: "p1",
		sha256: "ff",
		tools: [],
		chain: [],
		budget: { attempts: 1, deadline_at: 1, max_output_tokens: 1 },
		context: {},
		dropped: {},
		prompt_tokens: 1,
		fallback_notice: "n",
	},
	"inference.attempt_started": { attempt: 1, provider: "first", model: "large" },
	"inference.attempt_ended": {
		...row(),
		text: "",
		finish_reason: "stop",
		tool_calls: [],
		error: null,
		retry_after_ms: null,
	},
	"message.started": { message_id: "m_1", model_hint: "large", resumable: true },
	"output_text.delta": { text: "t" },
	"output_text.done": { text: "t", text_sha256: "ff" },
	"output_text.retracted": { from_seq: 1, reason: "r" },
	"citation.added": { n: 1, document_id: "d", chunk_id: "d.1", title: "t", quote: "q", verified: true },
	"validation.completed": { checks: [], verdict: "pass", release_mode: "stream" },
	"usage.completed": { ...usage, currency: "USD", attempts: [], partial: false, estimated: false },
	"message.completed": { status: "completed", finish_reason: "stop", text_sha256: null, final_seq: 1 },
	"tool.requested": {
		...call,
		arguments: "{}",
		principal: "p",
		roles: [],
		feature: "desk",
		required: false,
		side_effect_key: "k",
		deadline_at: 1,
	},
	"tool.started": { ...call, attempt: 1 },
	"tool.completed": { ...call, result: "r", truncated: false, took_ms: 1 },
	"tool.failed": { ...call, code: "failed", message: "m", outcome: "failed", took_ms: 1 },
};

/** The sample as the session would write it in answer to what the state waits for. */
function entryFor(state: State, type: EventType, more: Partial<Entry> = {}): Entry {
	const cause = "asked" in state ? state.asked : 0;
	const draft = { audience: "orchestration", actor: "session", attempt: 1, final: true, cause, events: [] } as const;
	return { ...append([], draft), events: [{ seq: 99, type, data: samples[type] } as Entry["events"][number]], ...more };
}

const outcome = (before: State, after: State): Expected =>
	after === before ? "same" : after.name === before.name ? "noted" : after.name;

const names = Object.keys(table) as Name[];
const types = Object.keys(samples) as EventType[];

test.each(names)("every event in state %s", (name) => {
	const before = states[name];
	expect(before.name).toBe(name);
	const cells = types.map((type) => [type, outcome(before, evolve(before, entryFor(before, type)))]);
	expect(Object.fromEntries(cells)).toEqual(table[name]);
});

test.each(names)(
	"an event that came before changes nothing in state %s the second time, unless it leads on",
	(name) => {
		for (const type of types) {
			const before = states[name];
			const once = evolve(before, entryFor(before, type));
			if (once.name === name && type !== "tool.requested")
				expect(evolve(once, entryFor(before, type)), type).toBe(once);
		}
	},
);

test.each([
	["retrieving", "retrieval.completed"],
	["retrieving", "retrieval.failed"],
	["ingesting", "ingest.completed"],
	["ingesting", "retrieval.failed"],
	["inferring", "inference.attempt_ended"],
] as const)("in state %s the %s of another ask is none", (name, type) => {
	expect(evolve(states[name], entryFor(states[name], type, { cause: 1 }))).toBe(states[name]);
});

test("an attempt that is not the last of its answer changes nothing", () => {
	const { inferring } = states;
	expect(evolve(inferring, entryFor(inferring, "inference.attempt_ended", { final: false }))).toBe(inferring);
});

test("an error of anybody but the session is no refusal", () => {
	expect(evolve(initial, entryFor(initial, "request.error", { actor: "inference" }))).toBe(initial);
});

/** Who is asked in each state; `nobody` when nothing is decided. `stopped` without grace yet, `over` when it has passed. */
type Says = Record<"free" | "stopped" | "over", Audience | "nobody">;
const decisions: Record<Name, Says> = {
	accepted: { free: "nobody", stopped: "nobody", over: "nobody" },
	rejected: { free: "session", stopped: "session", over: "session" },
	classifying: { free: "inference", stopped: "session", over: "session" },
	retrieving: { free: "nobody", stopped: "session", over: "session" },
	ingesting: { free: "nobody", stopped: "session", over: "session" },
	ingested: { free: "session", stopped: "session", over: "session" },
	assembling: { free: "inference", stopped: "session", over: "session" },
	inferring: { free: "nobody", stopped: "stream", over: "session" },
	calling_tools: { free: "nobody", stopped: "stream", over: "session" },
	validating: { free: "tools", stopped: "session", over: "session" },
	ended: { free: "nobody", stopped: "nobody", over: "nobody" },
};

test.each(names)("who is asked in state %s", (name) => {
	const free = states[name];
	const stopped = evolve(free, entryFor(free, "cancel.requested"));
	const over = "grace" in stopped ? { ...stopped, grace: "over" as const } : stopped;
	const asked = (state: State) => decide(bundle, state, 50)?.audience ?? "nobody";
	expect({ free: asked(free), stopped: asked(stopped), over: asked(over) }).toEqual(decisions[name]);
});
