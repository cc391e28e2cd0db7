import type { ClientEvent } from "../../gateway/client-stream.ts";
import type { DataOf, EventType } from "../../schemas/events/all.ts";
import type { DownFrame, EventFrame, FinalObject } from "../../schemas/frames.ts";
import { clip, counted, duration, price } from "./terminal.ts";

/** Something to show: a part of the answer itself, or a line about it. */
export type Piece =
	| { kind: "answer"; text: string }
	| { kind: "note"; text: string; tone: "quiet" | "plain" | "alert" };

export type AnswerView = {
	/** What to show for an event, in order. */
	take(event: ClientEvent): Piece[];
	/** How it ended; nothing before that. */
	status(): FinalObject["status"] | undefined;
};

type Final = Extract<DownFrame, { type: "final" }>;

/** Passages that are named; the citations name the ones that the answer used. */
const MAX_PASSAGES = 4;
const MAX_TITLE = 60;
const MAX_QUOTE = 100;

/** An event as its declaration says; types that this client does not know fall through (P13). */
type Frame = { [T in EventType]: EventFrame & { type: T } & DataOf<T> }[EventType];
type Usage = DataOf<"usage.completed">;
type Citation = Pick<DataOf<"citation.added">, "n" | "title" | "quote" | "verified">;

const isFinal = (event: ClientEvent): event is Final => event.type === "final" && "final" in event;
const isFrame = (event: ClientEvent): event is Frame => "seq" in event;

const quiet = (text: string): Piece => ({ kind: "note", text, tone: "quiet" });
const alert = (text: string): Piece => ({ kind: "note", text, tone: "alert" });

/**
 * Turns the events of one answer into what a person reads. `live` shows text as it comes and says when it is withdrawn;
 * otherwise the answer is shown once, at its end, so that a reader who cannot take text back gets only what stands.
 */
export function openAnswerView({ live, elapsed }: { live: boolean; elapsed(): number }): AnswerView {
	let deltas: { seq: number; text: string }[] = [];
	const citations: Citation[] = [];
	let usage: Usage | undefined;
	let status: FinalObject["status"] | undefined;
	const standing = () => deltas.map(({ text }) => text).join("");

	function retract(from: number, reason: string): Piece[] {
		const kept = deltas.filter(({ seq }) => seq < from);
		if (kept.length === deltas.length) return [];
		deltas = kept;
		if (!live) return [quiet(`text withdrawn (${reason})`)];
		const text = standing();
		if (text === "") return [alert(`↑ the text above is withdrawn (${reason})`)];
		return [alert(`↑ the text above is withdrawn (${reason}); this of it stands:`), { kind: "answer", text }];
	}

	function end(
		request: string,
		{ status: ended, finish_reason }: { status: string; finish_reason: string | null },
	): Piece[] {
		const text = standing();
		const answer: Piece[] = live || text === "" ? [] : [{ kind: "answer", text }];
		return [
			...answer,
			...citations.sort((a, b) => a.n - b.n).map(citationNote),
			summary(request, ended, finish_reason),
		];
	}

	function summary(request: string, ended: string, reason: string | null): Piece {
		const text = [
			reason === null || reason === ended ? ended : `${ended} (${reason})`,
			...(usage ? usageParts(usage) : []),
			duration(elapsed()),
			request,
		].join(" · ");
		return ended === "completed" ? quiet(text) : alert(text);
	}

	function stored(final: FinalObject): Piece[] {
		usage = final.usage ?? undefined;
		citations.push(...final.citations);
		status = final.status;
		const error = final.error ? [alert(`${final.error.code}: ${final.error.message}`)] : [];
		const text: Piece[] = final.output_text === "" ? [] : [{ kind: "answer", text: final.output_text }];
		deltas = [];
		return [...text, ...error, ...end(final.request_id, final)];
	}

	return {
		status: () => status,
		take(event) {
			if (isFinal(event)) return stored(event.final);
			if (!isFrame(event)) return [];
			switch (event.type) {
				case "output_text.delta":
					deltas.push(event);
					return live ? [{ kind: "answer", text: event.text }] : [];
				case "output_text.retracted":
					return retract(event.from_seq, event.reason);
				case "citation.added":
					citations.push(event);
					return [];
				case "usage.completed":
					usage = event;
					return [];
				case "message.completed":
					status = event.status;
					return end(event.request_id, event);
				case "request.error":
					return [alert(`${event.code}: ${event.message} (in ${event.stage})`)];
				default: {
					const text = noteOf(event);
					return text === undefined ? [] : [quiet(text)];
				}
			}
		},
	};
}

/** A line about an event that is no part of the text; nothing for those that a person need not see. */
function noteOf(frame: Frame): string | undefined {
	switch (frame.type) {
		case "retrieval.completed":
			return searched(frame.documents);
		case "tool.started":
			return `tool ${frame.name} runs`;
		case "tool.completed":
			return `tool ${frame.name}: done in ${duration(frame.took_ms)}`;
		case "tool.failed":
			return `tool ${frame.name}: ${frame.status} after ${duration(frame.took_ms)}`;
		case "degradation.applied":
			return `degraded, ${frame.mode}: ${frame.from} → ${frame.to}. ${frame.user_notice}`;
		default:
			return undefined;
	}
}

function searched(documents: readonly { n: number; title: string }[]): string {
	const passages = documents.slice(0, MAX_PASSAGES).map(({ n, title }) => `[${n}] ${shortTitle(title)}`);
	if (documents.length > MAX_PASSAGES) passages.push(`${documents.length - MAX_PASSAGES} more`);
	return `searched: ${counted(documents.length, "passage")}${passages.length > 0 ? `: ${passages.join(", ")}` : ""}`;
}

/** Document and innermost heading of a passage's title: what lies between tells least. */
function shortTitle(title: string): string {
	const parts = title.split(" › ");
	const [document = ""] = parts;
	return clip(parts.length > 2 ? `${document} › … › ${parts.at(-1)}` : title, MAX_TITLE);
}

function citationNote({ n, title, quote, verified }: Citation): Piece {
	const doubt = verified ? "" : " (not found in that passage)";
	return {
		kind: "note",
		tone: "plain",
		text: `[${n}] ${clip(title, MAX_TITLE * 2)}${doubt}: “${clip(quote, MAX_QUOTE)}”`,
	};
}

function usageParts({
	input_tokens,
	cached_tokens,
	output_tokens,
	cost_micros,
	currency,
	attempts,
	estimated,
	partial,
}: Usage): string[] {
	const cached = cached_tokens > 0 ? ` (${cached_tokens} cached)` : "";
	return [
		`${input_tokens}${cached} + ${output_tokens} tokens`,
		`${price(cost_micros, currency)}${estimated ? " (estimated)" : ""}`,
		...(partial ? ["partial"] : []),
		...(attempts.length > 1 ? [counted(attempts.length, "attempt")] : []),
	];
}
