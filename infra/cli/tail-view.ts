import type { Entry } from "../../schemas/entry.ts";
import { briefFields, shownEvents } from "./fields.ts";
import { clip, type Paint } from "./terminal.ts";

/** Characters of a request id that tell requests apart on a screen; its first event's line has the whole id. */
const SHORT_ID = 8;
const MAX_FIELDS = 160;
const ACTOR_WIDTH = "orchestration".length;
const TYPE_WIDTH = "inference.attempt_started".length;

const trouble = /(failed|retracted|error|cancel|degradation)/;

/** One line per event: time, request, seq, actor, type, its plain public fields. Times are in UTC. */
export function tailLines(entry: Entry, { unredacted, paint }: { unredacted: boolean; paint: Paint }): string[] {
	const time = new Date(entry.at).toISOString().slice(11, 23);
	return shownEvents(entry, unredacted).map(({ seq, type, data }) => {
		const isStart = type === "request.accepted";
		const fields = clip(`${isStart ? `${entry.request} ` : ""}${briefFields(data)}`, MAX_FIELDS);
		const style = type === "message.completed" ? "green" : trouble.test(type) ? "yellow" : "cyan";
		return [
			paint("dim", time),
			entry.request.slice(0, SHORT_ID + 2),
			`#${seq}`.padEnd(5),
			entry.actor.padEnd(ACTOR_WIDTH),
			paint(style, type.padEnd(TYPE_WIDTH)),
			fields,
		]
			.join(" ")
			.trimEnd();
	});
}
