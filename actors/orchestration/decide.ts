import type { EventDraft } from "../../schemas/events/all.ts";
import type { AttemptRow } from "../../schemas/events/inference.ts";
import type { Evidence } from "../../schemas/events/retrieval.ts";
import type { Bundle, Feature, RouteRow } from "../../schemas/feature.ts";
import type { Decision } from "../actor.ts";
import { assemble } from "./assemble.ts";
import { classify } from "./classify.ts";
import { type Ending, end, messageStarted } from "./end.ts";
import { GRACE_MS, GRACE_TIMER, type State } from "./state.ts";
import { validate } from "./validate.ts";

type In<Name extends State["name"]> = Extract<State, { name: Name }>;
type Serving = { bundle: Bundle; feature: Feature };

/** Decides from the state alone; SPEC.md has the table. Waiting states decide nothing unless the request has to stop. */
export function decide(bundle: Bundle | undefined, state: State, seq: number): Decision | undefined {
	if (state.name === "ended" || state.name === "accepted") return undefined;
	if (state.name === "rejected") return rejected(state, seq);
	const serving = servingOf(bundle, state.loaded.accepted.feature);
	switch (state.name) {
		case "classifying":
			return state.stop ? stop(state, false, seq) : begin(serving, state, seq);
		case "retrieving":
			return state.stop ? stop(state, true, seq) : undefined;
		case "assembling":
			return state.stop ? stop(state, true, seq) : askModel(serving, state, seq);
		case "inferring":
		case "calling_tools":
			return state.stop ? outwait(state, seq) : undefined;
		case "validating":
			return conclude(serving, state, seq);
		case "ingested":
			return ingested(state, seq);
	}
}

function servingOf(bundle: Bundle | undefined, name: string): Serving {
	const feature = bundle?.features[name];
	if (!bundle || !feature)
		throw new Error(`feature "${name}" is expected in the configuration that the request was accepted under`);
	return { bundle, feature };
}

function rowOf(feature: Feature, route: keyof Feature["routes"]): RouteRow {
	const row = feature.routes[route];
	if (!row) throw new Error(`feature "${feature.name}" is expected to have a row for route "${route}"`);
	return row;
}

/** The session has said why: its error is in the log already. */
function rejected({ failure }: In<"rejected">, seq: number): Decision {
	return end({ from: "accepted", status: "failed", finish: "error", said: "", attempts: [], started: false, words: failure.message }, seq);
}

/** Before anything is asked: classify, route, ask the first one that has to act. */
function begin(serving: Serving, state: In<"classifying">, seq: number): Decision {
	const { feature, bundle } = serving;
	const { accepted, window } = state.loaded;
	const { route, reason, scores, margin } = classify(feature, accepted.input);
	const opening: EventDraft[] = [
		messageStarted(seq, feature.models.links[0]?.model ?? "none"),
		{ type: "route.decided", data: { route, reason, scores, margin, policy_version: bundle.sha256 } },
	];
	const row = rowOf(feature, route);
	if (route === "refuse") {
		const ending: Ending = {
			from: "accepted",
			status: "refused",
			finish: "refused",
			said: "",
			attempts: [],
			started: true,
			words: feature.notices.refused,
		};
		return { ...end(ending, seq + opening.length), events: [...opening, ...end(ending, seq + opening.length).events] };
	}
	if (route === "ingest") {
		return {
			audience: "retrieval",
			final: false,
			events: [
				...opening,
				{ type: "state.entered", data: { from: "accepted", to: "retrieving" } },
				{
					type: "ingest.requested",
					data: {
						documents: (accepted.documents ?? []).map(({ type: _, ...document }) => document),
						deadline_at: accepted.deadline_at,
					},
				},
			],
		};
	}
	if (row.evidence !== "none") {
		return {
			audience: "retrieval",
			final: false,
			events: [
				...opening,
				{ type: "state.entered", data: { from: "accepted", to: "retrieving" } },
				{
					type: "retrieval.requested",
					data: {
						query: accepted.input,
						history: window.flatMap(({ role, text }) => (role === "user" ? [text] : [])),
						labels: accepted.roles,
						budget_tokens: Math.max(1, feature.budget.evidence),
						min_score: row.min_score,
						deadline_at: accepted.deadline_at,
					},
				},
			],
		};
	}
	const assembling: In<"assembling"> = {
		...state,
		name: "assembling",
		from: "retrieving",
		route,
		found: undefined,
		steps: [],
	};
	const asked = inference(serving, assembling, row, [], [], "accepted", seq + opening.length);
	return { ...asked, events: [...opening, ...asked.events] };
}

/** Evidence or tool answers are there: degrade as declared, then ask the model. */
function askModel(serving: Serving, state: In<"assembling">, seq: number): Decision {
	const { feature } = serving;
	const row = rowOf(feature, state.route);
	const base = { from: state.from, said: state.said, attempts: state.attempts, started: true };
	const notices: EventDraft[] = [];
	const failed = state.steps.at(-1);
	for (const call of state.from === "calling_tools" && failed ? failed.calls : []) {
		const result = failed?.results[call.id];
		if (!result || result.ok) continue;
		const required = row.tools.find(({ name }) => name === call.name)?.required ?? false;
		const degradation = {
			mode: "tool" as const,
			from: call.name,
			to: required ? "no answer" : "an answer without it",
			user_notice: feature.notices.tool_down,
		};
		if (required) {
			const error = { code: "tool_failed" as const, message: `${call.name}: ${result.message}` };
			return end(
				{ ...base, status: "incomplete", finish: "degraded", words: feature.notices.tool_down, degradation, error },
				seq,
			);
		}
		notices.push({ type: "degradation.applied", data: degradation });
	}
	const { found } = state;
	if (found && state.steps.length === 0) {
		const oldest = row.max_age_hours === undefined ? 0 : found.at - row.max_age_hours * 3_600_000;
		const fresh = found.documents.filter(({ ingested_at }) => ingested_at >= oldest);
		if (fresh.length === 0) {
			const words = found.failure ? feature.notices.retrieval_down : feature.notices.no_evidence;
			if (row.evidence === "required") {
				const to = "no answer";
				const degradation = { mode: "retrieval" as const, from: "documents", to, user_notice: words };
				const error = found.failure
					? { code: "evidence_unavailable" as const, message: `retrieval failed: ${found.failure.message}` }
					: {
							code: "evidence_missing" as const,
							message:
								found.documents.length > 0
									? "every passage found is older than the route allows"
									: "no passage scores high enough to answer from",
						};
				return end({ ...base, status: "incomplete", finish: "degraded", words, degradation, error }, seq);
			}
			const user_notice = feature.notices.without_documents;
			notices.push({
				type: "degradation.applied",
				data: { mode: "retrieval", from: "documents", to: "an answer without them", user_notice },
			});
		}
		const asked = inference(serving, state, row, fresh, [], state.from, seq + notices.length);
		return { ...asked, events: [...notices, ...asked.events] };
	}
	const asked = inference(serving, state, row, found?.documents ?? [], state.steps, state.from, seq + notices.length);
	return { ...asked, events: [...notices, ...asked.events] };
}

/** `state.entered` and `inference.requested`, or the end when the prompt does not fit. */
function inference(
	{ bundle, feature }: Serving,
	state: In<"assembling">,
	row: RouteRow,
	documents: readonly Evidence[],
	steps: In<"assembling">["steps"],
	from: "accepted" | "retrieving" | "calling_tools",
	seq: number,
): Decision {
	const assembled = assemble(feature, row, bundle.tools, state.loaded, documents, steps);
	if ("tooLong" in assembled) {
		const error = { code: "context_too_long" as const, message: assembled.tooLong };
		return end(
			{
				from,
				status: "failed",
				finish: "error",
				said: state.said,
				attempts: state.attempts,
				started: true,
				words: error.message,
				error,
			},
			seq,
		);
	}
	const { max_output_tokens, ...prompt } = assembled;
	return {
		audience: "inference",
		final: false,
		events: [
			{ type: "state.entered", data: { from, to: "inferring" } },
			{
				type: "inference.requested",
				data: {
					...prompt,
					prompt_version: feature.prompt_version,
					chain: feature.models.links,
					budget: { attempts: feature.attempts, deadline_at: state.loaded.accepted.deadline_at, max_output_tokens },
					fallback_notice: feature.notices.model_fallback,
				},
			},
		],
	};
}

/** The model has answered: tools, or validation and the end. */
function conclude({ feature }: Serving, state: In<"validating">, seq: number): Decision {
	const { answer, found, route } = state;
	const row = rowOf(feature, route);
	const base = { from: "inferring" as const, said: state.said, attempts: state.attempts, started: true };
	if (answer.outcome !== "completed") return unfinished(state, base, seq);
	if (answer.finish_reason === "tool_calls" && answer.tool_calls.length > 0 && !state.stop) {
		if (route === "task" && state.steps.length + 1 < row.steps) return callTools(state, row, seq);
		const message = `the tool loop is expected to end within ${row.steps} model calls on route "${route}", the model asks for more tools`;
		return end(
			{
				...base,
				status: "incomplete",
				finish: "tool_calls",
				words: feature.notices.tool_down,
				error: { code: "tool_failed", message },
			},
			seq,
		);
	}
	if (answer.finish_reason === "content_filter") {
		return end(
			{
				...base,
				status: "refused",
				finish: "content_filter",
				words: feature.notices.refused,
				error: { code: "provider_refused", message: "the provider's filter stopped the answer" },
			},
			seq,
		);
	}
	const { checks, passed, citations } = validate(feature.validators, state.said, found?.documents ?? []);
	if (!passed) {
		const fault = checks.find((check) => !check.passed);
		const message = `the answer failed check "${fault?.validator}": ${fault?.detail}`;
		const retract = state.said === "" ? {} : { retract: { from_seq: state.speaksFrom, reason: "validation_failed" } };
		return end(
			{
				...base,
				...retract,
				status: "failed",
				finish: "error",
				words: `This answer was withdrawn: ${message}.`,
				error: { code: "validation_failed", message },
				checks,
			},
			seq,
		);
	}
	const whole = answer.finish_reason === "stop";
	return end(
		{ ...base, status: whole ? "completed" : "incomplete", finish: answer.finish_reason ?? "stop", citations, checks },
		seq,
	);
}

function callTools(state: In<"validating">, row: RouteRow, seq: number): Decision {
	const { accepted } = state.loaded;
	const calls = state.answer.tool_calls.slice(0, MAX_PARALLEL_TOOLS);
	return {
		audience: "tools",
		final: false,
		events: [
			{ type: "state.entered", data: { from: "inferring", to: "calling_tools" } },
			...calls.map((call, at): EventDraft => {
				const own = seq + 1 + at;
				return {
					type: "tool.requested",
					data: {
						tool_call_id: `call_${own}`,
						name: call.name,
						arguments: call.arguments,
						principal: accepted.principal,
						roles: accepted.roles,
						feature: accepted.feature,
						required: row.tools.find(({ name }) => name === call.name)?.required ?? false,
						side_effect_key: `call_${own}`,
						deadline_at: accepted.deadline_at,
					},
				};
			}),
		],
	};
}

/** Tools that one entry may ask for (L2). */
const MAX_PARALLEL_TOOLS = 8;

/** The chain is exhausted, or the request was stopped while the model spoke. */
function unfinished(
	state: In<"validating">,
	base: Pick<Ending, "said" | "attempts" | "started"> & { from: "inferring" },
	seq: number,
): Decision {
	if (state.stop) return stop(state, true, seq, "inferring");
	const { error } = state.answer;
	const late = error?.kind === "deadline";
	const message = error?.message ?? "the model gave no answer";
	const words =
		state.said === ""
			? `No model gave an answer: ${message}.`
			: "The answer breaks off here: the model's stream failed.";
	const code = late ? "deadline_exceeded" : "provider_failed";
	return end(
		{
			...base,
			status: state.said === "" ? "failed" : "incomplete",
			finish: late ? "deadline" : "error",
			words,
			error: { code, message },
		},
		seq,
	);
}

/** Something is in flight while the request has to stop: give it a moment to report, then end with an estimate. */
function outwait(state: In<"inferring"> | In<"calling_tools">, seq: number): Decision | undefined {
	if (!state.stop || state.grace === "running") return undefined;
	if (state.grace === "over") return stop(state, true, seq);
	return {
		audience: "stream",
		final: false,
		events: [{ type: "timer.requested", data: { timer: GRACE_TIMER, at: state.stop.at + GRACE_MS } }],
	};
}

/** The end of a request that was cancelled or whose time is over. */
function stop(
	state: Exclude<State, { name: "accepted" | "rejected" | "ended" }>,
	started: boolean,
	seq: number,
	from?: "inferring",
): Decision {
	const cancelled = state.stop?.kind === "cancel";
	const inFlight = state.name === "inferring";
	return end(
		{
			from: from ?? loggedName(state),
			status: cancelled ? "cancelled" : state.said === "" && !inFlight ? "failed" : "incomplete",
			finish: cancelled ? "cancelled" : "deadline",
			said: inFlight ? null : state.said,
			attempts: inFlight ? [...state.attempts, inFlightEstimate(state)] : state.attempts,
			started,
			...(cancelled
				? {}
				: {
						error: {
							code: "deadline_exceeded" as const,
							message: "the request's time was over before its answer was there",
						},
					}),
		},
		seq,
	);
}

/** The state that the log names last: due states are passed through within one decision. */
function loggedName(state: Exclude<State, { name: "rejected" | "ended" }>): Ending["from"] {
	if (state.name === "classifying") return "accepted";
	if (state.name === "assembling") return state.from;
	if (state.name === "ingested") return "retrieving";
	return state.name === "validating" ? "inferring" : state.name;
}

/** What an attempt that never reported must have cost at least: its prompt. */
function inFlightEstimate({ asked, attempts }: In<"inferring">): AttemptRow {
	const [link] = asked.chain;
	const tokens = { uncached_input: asked.prompt_tokens, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 };
	return {
		attempt: attempts.length + 1,
		provider: link?.provider ?? "unknown",
		model: link?.model ?? "unknown",
		outcome: "lost",
		tokens,
		cost_micros: Math.ceil(asked.prompt_tokens * (link?.price.input ?? 0)),
		estimated: true,
	};
}

/** What came of the documents, in plain words. */
function ingested(state: In<"ingested">, seq: number): Decision {
	const { documents } = state.ingest;
	const failures = documents.filter(({ outcome }) => outcome === "failed");
	const words = documents
		.map(({ name, outcome, chunks, problem }) =>
			outcome === "failed" ? `${name} could not be read: ${problem}` : `${name}: ${outcome}, ${chunks} passages`,
		)
		.join("\n");
	const base = { from: "retrieving" as const, said: "", attempts: [], started: true, words };
	if (failures.length === 0) return end({ ...base, status: "completed", finish: "stop" }, seq);
	const message = failures.map(({ name, problem }) => `${name}: ${problem}`).join("; ");
	return end(
		{
			...base,
			status: failures.length === documents.length ? "failed" : "incomplete",
			finish: "error",
			error: { code: "ingest_failed", message },
		},
		seq,
	);
}
