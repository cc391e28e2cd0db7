import type { DataOf, EventType } from "../../../schemas/events/all.ts";
import { BEGUN_AT } from "./log.ts";
import { accepted, row } from "./tellings.ts";

export const document = { document_id: "d", name: "d.md", media_type: "text/markdown", sha256: "ff", bytes: 1 };
export const indexed = { document_id: "d", name: "d.md", chunks: 1, version: 1, outcome: "indexed" as const };

const call = { tool_call_id: "call_9", name: "look_up" };
const usage = { input_tokens: 0, output_tokens: 0, cached_tokens: 0, reasoning_tokens: 0, cost_micros: 0 };
const trace = {
	feature: "desk",
	config_sha: "c1",
	route: null,
	prompt_version: null,
	retrieval: null,
	tools: [],
	degradations: [],
	accepted_at: BEGUN_AT,
	first_text_at: null,
	last_text_at: null,
};
/** One event of each type. */
export const samples: { [T in EventType]: DataOf<T> } = {
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
		first_text_at: null,
	},
	"message.started": { message_id: "m_1", model_hint: "large", resumable: true },
	"output_text.delta": { text: "t" },
	"output_text.done": { text: "t", text_sha256: "ff" },
	"output_text.retracted": { from_seq: 1, reason: "r" },
	"citation.added": { n: 1, document_id: "d", chunk_id: "d.1", title: "t", quote: "q", verified: true },
	"validation.completed": { checks: [], verdict: "pass", release_mode: "stream" },
	"trace.recorded": trace,
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
