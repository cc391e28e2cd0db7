import { type Entry, isEnd } from "../../schemas/entry.ts";
import { allFields, shownEvents } from "./fields.ts";
import { counted, duration, type Paint, printable } from "./terminal.ts";

/** A pause between two entries that is worth a line. */
const GAP_MS = 1_000;

export type TimelineOptions = { unredacted: boolean; paint: Paint; now: number };

/** The log of one request in its order: a block per entry, and marks where something went another way than usual. */
export function timeline(entries: readonly Entry[], options: TimelineOptions): string {
	const [first] = entries;
	if (!first) return "";
	const { paint } = options;
	const lines = [
		paint("bold", first.request),
		`tenant ${first.tenant} · session ${first.session} · trace ${first.trace.split("-")[1] ?? "-"} · began ${new Date(first.at).toISOString()}`,
	];
	/** Who wrote last for an answer; another writer means that the first one was lost. */
	const writers = new Map<string, string>();
	let before = first;
	for (const entry of entries) {
		const gap = entry.at - before.at;
		if (!(isText(entry) && isText(before))) lines.push("");
		if (gap > GAP_MS) lines.push(paint("yellow", `⋯ ${duration(gap)} without an entry`), "");
		lines.push(heading(entry, first, paint));
		const answer = `${entry.actor}/${entry.cause}`;
		const writer = writers.get(answer);
		if (entry.cause > 0) writers.set(answer, entry.writer);
		if (entry.cause > 0 && writer !== undefined && writer !== entry.writer)
			lines.push(
				paint("yellow", `      ! takeover: ${shortWriter(writer)} did not finish its answer to #${entry.cause}`),
			);
		lines.push(...marks(entry).map((mark) => paint("yellow", `      ! ${mark}`)));
		lines.push(...eventLines(entry, options));
		before = entry;
	}
	return `${[...lines, "", ending(entries, first, before, options)].join("\n")}\n`;
}

/** An answer's text comes in many entries; they stand together. */
const isText = (entry: Entry): boolean => entry.events.every(({ type }) => type === "output_text.delta");

function heading(entry: Entry, first: Entry, paint: Paint): string {
	const { index, position, actor, audience, attempt, cause, final, writer, at } = entry;
	const parts = [
		`${paint("bold", `${actor} → ${audience}`)}`,
		...(cause > 0 ? [`answers #${cause}${final ? ", final" : ""}`] : []),
		...(attempt > 0 ? [`attempt ${attempt}`] : []),
		`by ${shortWriter(writer)}`,
	];
	return `${String(index).padStart(3)}  @${position}  +${duration(at - first.at)}  ${parts.join(" · ")}`;
}

/** Writers are named by all of their roles; the first one and the process say enough. */
function shortWriter(writer: string): string {
	const roles = writer.split("+");
	return roles.length > 2 ? `${roles[0]}+…-${writer.slice(writer.lastIndexOf("-") + 1)}` : writer;
}

function marks(entry: Entry): string[] {
	return entry.events.flatMap((event) => {
		if (event.type === "inference.attempt_ended" && event.data.outcome === "lost")
			return [`attempt ${event.data.attempt} was lost with its process`];
		if (event.type === "inference.attempt_ended" && event.data.outcome === "failed")
			return [`attempt ${event.data.attempt} failed: ${event.data.error?.kind ?? "no reason given"}`];
		if (event.type === "output_text.retracted")
			return [`text from #${event.data.from_seq} on is withdrawn: ${event.data.reason}`];
		if (event.type === "request.error") return [`${event.data.code}: ${event.data.message}`];
		if (event.type === "cancel.requested") return ["a cancel came in"];
		return [];
	});
}

function eventLines(entry: Entry, { unredacted, paint }: TimelineOptions): string[] {
	return shownEvents(entry, unredacted).flatMap(({ seq, type, data }) => {
		const [fields = "", ...more] = allFields(data).map(printable);
		const head = `      #${seq} ${paint("cyan", type)}${fields === "" ? "" : `  ${fields}`}`;
		return [head, ...more.map((line) => `         ${line}`)];
	});
}

function ending(entries: readonly Entry[], first: Entry, last: Entry, { paint, now }: TimelineOptions): string {
	const events = entries.reduce((sum, entry) => sum + entry.events.length, 0);
	const size = `${counted(entries.length, "entry").replace("entrys", "entries")}, ${counted(events, "event")}`;
	const end = last.events.at(-1);
	if (isEnd(last) && end?.type === "message.completed") {
		const { status, finish_reason } = end.data;
		const reason = status === finish_reason ? "" : ` (${finish_reason})`;
		return paint(
			status === "completed" ? "green" : "yellow",
			`end: ${status}${reason} after ${duration(last.at - first.at)} · ${size}`,
		);
	}
	const waiting = last.audience === "stream" ? last.actor : last.audience;
	return paint("yellow", `no end yet: ${waiting} is to act, last entry ${duration(now - last.at)} ago · ${size}`);
}
