import { type Entry, isEnd } from "../../schemas/entry.ts";
import { errors } from "../../schemas/errors.ts";
import type { EventDraft } from "../../schemas/events/all.ts";
import type { WindowTurn } from "../../schemas/events/session.ts";
import { finalObject, finalOfEnd } from "../../schemas/final.ts";
import type { Answer, Ask, Worker } from "../actor.ts";
import type { OpenRequest, SessionPorts } from "./ports.ts";
import { windowOf } from "./window.ts";

type Asks = "request.accepted" | "message.completed";

/** Holds conversations: opens a turn when a request is accepted, stores turn and result when it has ended (§8). */
export const session: Worker<Asks, SessionPorts> = {
	shape: "worker",
	name: "session",
	asks: ["request.accepted", "message.completed"],
	perform(ask, _prior, ports) {
		return ask.type === "request.accepted" ? load(ask, ports) : close(ask, ports);
	},
	abandon: (_ask, _prior, reason) => [failure("poisoned", reason)],
};

async function load({ data, entry }: Ask<"request.accepted">, ports: SessionPorts): Promise<Answer> {
	const { fingerprint, door: _, deadline_ms, ...accepted } = data;
	const feature = await ports.feature(data.config_sha, data.feature);
	const wanted: OpenRequest = {
		tenant: entry.tenant,
		session: entry.session,
		request: entry.request,
		principal: data.principal,
		fingerprint,
		input: data.input,
		at: entry.at,
	};
	let opening = await ports.sessions.open(wanted);
	if (opening.outcome === "busy") {
		// A client may read an end and send its next turn before that end is stored: then storing it is what is missing.
		const last = await ports.tail(entry.tenant, opening.with);
		if (last && isEnd(last)) {
			await store(last, ports);
			opening = await ports.sessions.open(wanted);
		}
	}
	if (opening.outcome === "busy") {
		return [
			failure(
				"session_busy",
				`the session has an open turn (${opening.with}); wait for its end, or cancel it, and send this again`,
			),
		];
	}
	if (opening.outcome === "foreign") return [failure("not_found", "the session is unknown")];
	// Its end is in the log, and the append of this answer would meet it.
	if (opening.outcome === "ended") return [];
	const held = data.history ? await heldByClient(data.history, feature.budget.window, ports) : undefined;
	const kept = windowOf(opening.turns, feature.budget.window);
	const deadline_at = entry.at + deadline_ms;
	return [
		{
			type: "session.loaded",
			data: {
				accepted: { ...accepted, accepted_at: entry.at, deadline_at },
				window: held?.window ?? kept.window,
				dropped_turns: held?.dropped ?? kept.dropped + opening.older,
				version: opening.version,
			},
		},
		{ type: "timer.requested", data: { timer: "deadline", at: deadline_at } },
	];
}

/** History that the client sends along: its newest messages that fit. */
async function heldByClient(
	history: readonly { role: "user" | "assistant"; text: string }[],
	budget: number,
	ports: SessionPorts,
): Promise<{ window: WindowTurn[]; dropped: number }> {
	const window: WindowTurn[] = [];
	let left = budget;
	for (const { role, text } of [...history].reverse()) {
		const tokens = await ports.countTokens(text);
		if (tokens > left) break;
		left -= tokens;
		window.unshift({ role, text, tokens });
	}
	return { window, dropped: history.length - window.length };
}

async function close({ entry }: Ask<"message.completed">, ports: SessionPorts): Promise<Answer> {
	await store(entry, ports);
	return [];
}

/** Stores turn and result of an end; doing it twice is doing it once. */
async function store(entry: Entry, ports: SessionPorts): Promise<void> {
	const final = finalOfEnd(entry) ?? finalObject(await ports.history(entry));
	// Expired meanwhile: nobody can ask for it any more.
	if (!final) return;
	const spoke =
		final.output_text !== "" &&
		(final.status === "completed" || final.status === "incomplete" || final.status === "cancelled");
	const turn = async ({ request, at, input }: OpenRequest) => ({
		request,
		at,
		user: { text: input, tokens: await ports.countTokens(input) },
		assistant: { text: final.output_text, tokens: await ports.countTokens(final.output_text) },
	});
	await ports.sessions.close(entry.tenant, entry.request, final, spoke ? turn : undefined);
}

const failure = (code: "session_busy" | "not_found" | "poisoned", message: string): EventDraft => ({
	type: "request.error",
	data: { code, stage: "session", retryable: errors[code].retryable, message },
});
