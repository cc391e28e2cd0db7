import { expect, test } from "vitest";
import type { Audience, Entry } from "../../schemas/entry.ts";
import type { EventType } from "../../schemas/events/all.ts";
import { decide } from "./decide.ts";
import { evolve } from "./evolve.ts";
import { initial, type State } from "./state.ts";
import { bundleOf } from "./testing/bundle.ts";
import { given, heard } from "./testing/given.ts";
import { append, fold } from "./testing/log.ts";
import { document, indexed, samples } from "./testing/samples.ts";
import { accepted, answers, asks, calls, found, loaded, passage, sessionBusy } from "./testing/tellings.ts";

type Name = State["name"];
/** `same`: the very same state. `noted`: it keeps its name and learns something. A name: the next state. */
type Expected = Name | "same" | "noted";
type Row = Record<EventType, Expected>;

// Parts of rows. An event that is new stands in none of them, so no row compiles until somebody has decided about it.
const unheard = {
	"request.accepted": "same",
	"state.entered": "same",
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
	"trace.recorded": "same",
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
	"degradation.applied": "same",
} as const;
const stops = { ...early, "timer.requested": "noted", "degradation.applied": "noted" } as const;

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
		"degradation.applied": "same",
		"message.completed": "same",
	},
};

const bundle = bundleOf();
const readIn = loaded({ accepted: { ...accepted("read in this"), documents: [{ type: "document", ...document }] } });
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
