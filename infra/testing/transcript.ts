import { createHash } from "node:crypto";
import { connect } from "../../gateway/client.ts";
import type { EventFrame, SubmitBody } from "../../schemas/frames.ts";

/** Every event frame of one request, in order, as a client saw it. */
export type Transcript = EventFrame[];

const isEvent = (frame: object): frame is EventFrame => "seq" in frame && "prev" in frame;

/** Submits over WebSocket with the real client and collects what comes; `on` sees each event as it comes. */
export async function ask(
	url: string,
	token: string,
	body: SubmitBody & { idempotency_key?: string },
	on: (event: EventFrame, cancel: () => void) => void = () => {},
): Promise<Transcript> {
	const client = connect({ url, token });
	try {
		const events: Transcript = [];
		for await (const event of client.submit(body)) {
			if (!isEvent(event)) continue;
			events.push(event);
			// The events say what came of it; its own answer may be overtaken by the end.
			on(event, () => void client.cancel(event.request_id).catch(() => {}));
		}
		return events;
	} finally {
		client.close();
	}
}

/** Text that a client sees: deltas in order, without what was retracted. */
export function textOf(events: Transcript): string {
	let kept: EventFrame[] = [];
	for (const event of events) {
		if (event.type === "output_text.delta") kept.push(event);
		else if (event.type === "output_text.retracted") kept = kept.filter(({ seq }) => seq < Number(event.from_seq));
	}
	return kept.map(({ text }) => text).join("");
}

/** Faults of a transcript against the laws of the protocol; none for a lawful one. */
export function faultsOf(events: Transcript): string[] {
	const faults: string[] = [];
	const fault = (broken: boolean, message: string) => {
		if (broken) faults.push(message);
	};
	let last = 0;
	for (const { seq, prev, type } of events) {
		fault(prev !== last, `${type} ${seq} says prev ${prev}, the event before was ${last}`);
		fault(seq <= last, `${type} ${seq} comes after ${last}`);
		last = seq;
	}
	const types = events.map(({ type }) => type);
	fault(types[0] !== "request.accepted", `begins with ${types[0]}`);
	fault(types.filter((type) => type === "message.started").length !== 1, "message.started is there once");
	fault(types.filter((type) => type === "message.completed").length !== 1, "message.completed is there once");
	fault(types.at(-1) !== "message.completed", `ends with ${types.at(-1)}`);
	fault(types.at(-2) !== "usage.completed", `before the end stands ${types.at(-2)}`);
	const end = events.at(-1);
	const usage = events.at(-2);
	const unknown = end?.text_sha256 === null && usage?.estimated === true;
	const hash = createHash("sha256").update(textOf(events)).digest("hex");
	fault(!unknown && end?.text_sha256 !== hash, "text_sha256 is the hash of the text that came");
	fault(end?.final_seq !== end?.seq, `final_seq ${end?.final_seq} is the last seq ${end?.seq}`);
	return faults;
}

export const endOf = (events: Transcript): EventFrame => {
	const end = events.at(-1);
	if (!end) throw new Error("the transcript is empty");
	return end;
};
