import type { EventFrame } from "../../schemas/frames.ts";

/** Checks the events of one request against the protocol (P9, P10, P12) as they come. */
export type Transcript = {
	take(frame: EventFrame): void;
	ended(): boolean;
	/** The first thing that was wrong, or nothing. */
	fault(): string | undefined;
};

/** `expected` is the whole answer: text that is lost, doubled or out of order is a fault. */
export function openTranscript(expected: string): Transcript {
	let last = 0;
	let previous = "";
	let text = "";
	let started = false;
	let fault: string | undefined;

	const wrong = (what: string) => {
		fault ??= what;
	};

	function order(frame: EventFrame): void {
		if (previous === "message.completed") wrong(`${frame.type} came after message.completed`);
		if ((last === 0) !== (frame.type === "request.accepted")) wrong(`${frame.type} came after seq ${last}`);
		if (frame.prev !== last) wrong(`${frame.type} ${frame.seq} follows ${frame.prev}, the last event was ${last}`);
		if (frame.seq <= last) wrong(`${frame.type} ${frame.seq} came after seq ${last}`);
	}

	return {
		take(frame) {
			order(frame);
			if (frame.type === "message.started") started = true;
			else if (frame.type === "output_text.delta") {
				if (!started) wrong("text came before message.started");
				text += frame.text;
			} else if (frame.type === "output_text.retracted") wrong("text was retracted");
			else if (frame.type === "request.error") wrong(`request.error ${frame.code}: ${frame.message}`);
			else if (frame.type === "message.completed") {
				if (previous !== "usage.completed") wrong(`message.completed came after ${previous}`);
				if (frame.status !== "completed") wrong(`the status is ${frame.status}`);
				if (frame.final_seq !== frame.seq) wrong(`final_seq is ${frame.final_seq} at seq ${frame.seq}`);
				if (text !== expected) wrong(`the text has ${text.length} characters, expected ${expected.length}, or differs`);
			}
			last = frame.seq;
			previous = frame.type;
		},
		ended: () => previous === "message.completed",
		fault: () => fault,
	};
}
