import { type Entry, isEnd } from "./entry.ts";
import type { AnyEvent } from "./events/all.ts";
import type { Citation, FinalObject } from "./frames.ts";

/** Text that a client sees after these events: deltas in order, without what was retracted. */
export function visibleText(events: Iterable<AnyEvent>): string {
	let deltas: { seq: number; text: string }[] = [];
	for (const event of events) {
		if (event.type === "output_text.delta") deltas.push({ seq: event.seq, text: event.data.text });
		else if (event.type === "output_text.retracted") deltas = deltas.filter(({ seq }) => seq < event.data.from_seq);
	}
	return deltas.map(({ text }) => text).join("");
}

/** Folds entries of one request, from its first, into the object that answers `GET /v1/requests/{id}`. */
export function finalObject(entries: readonly Entry[]): FinalObject | undefined {
	const first = entries[0];
	const last = entries.at(-1);
	if (!first || !last) return undefined;
	const events = entries.flatMap((entry) => entry.events);
	const citations: Citation[] = [];
	let object: FinalObject = {
		request_id: first.request,
		session_id: first.session,
		status: "running",
		output_text: visibleText(events),
		citations,
		usage: null,
		finish_reason: null,
		final_seq: null,
	};
	for (const event of events) {
		if (event.type === "citation.added") citations.push(event.data);
		else if (event.type === "usage.completed") object = { ...object, usage: event.data };
		else if (event.type === "request.error") {
			const { code, message, retryable } = event.data;
			object = { ...object, error: { code, message, retryable } };
		} else if (event.type === "message.completed" && isEnd(last)) {
			const { status, finish_reason, final_seq } = event.data;
			object = { ...object, status, finish_reason, final_seq };
		}
	}
	return object;
}

/** The same from the end entry alone, which carries all of it unless the end was estimated or failed; then nothing. */
export function finalOfEnd(end: Entry): FinalObject | undefined {
	const done = end.events.find((event) => event.type === "output_text.done");
	const final = finalObject([end]);
	if (!final || !isEnd(end) || final.status === "failed" || final.status === "incomplete") return undefined;
	return done?.type === "output_text.done" ? { ...final, output_text: done.data.text } : undefined;
}
