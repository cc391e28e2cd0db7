import type { Entry } from "../../schemas/entry.ts";
import { redact } from "../../schemas/redact.ts";
import { clip } from "./terminal.ts";

export type ShownEvent = { seq: number; type: string; data: unknown };

/** The events of an entry as a person may see them: redacted, unless they asked for everything. */
export function shownEvents(entry: Entry, unredacted: boolean): readonly ShownEvent[] {
	// `redact` keeps the list and its shape, which its return type does not say.
	return unredacted ? entry.events : (redact(entry).events as ShownEvent[]);
}

/** What `redact` puts in the place of a personal field. */
const PERSONAL = "[personal]";
const MAX_TEXT = 120;
const HASH = /^[0-9a-f]{32,}$/;
const BARE = /^[\w.:/@#+-]{1,64}$/;

/** A value on one line: bare words and numbers as they are, hashes by their beginning, lists and objects in brackets. */
export function compact(value: unknown): string {
	if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(3)));
	if (typeof value === "string") {
		if (HASH.test(value)) return `${value.slice(0, 8)}…`;
		return BARE.test(value) || value === PERSONAL ? value : JSON.stringify(clip(value, MAX_TEXT));
	}
	if (Array.isArray(value)) return `[${value.map(compact).join(", ")}]`;
	if (typeof value === "object" && value !== null) {
		return `{${pairs(value)
			.map(([key, item]) => `${key} ${compact(item)}`)
			.join(", ")}}`;
	}
	return String(value);
}

const pairs = (data: object): [string, unknown][] => Object.entries(data).filter(([, value]) => value !== undefined);

const isNested = (value: unknown): value is object =>
	typeof value === "object" && value !== null && Object.keys(value).length > 0;

/** As `compact`, and times of the day for points in time, which the events give in milliseconds since the epoch. */
function field(key: string, value: unknown): string {
	const isTime = typeof value === "number" && (key === "at" || key.endsWith("_at"));
	return `${key}=${isTime ? new Date(value).toISOString() : compact(value)}`;
}

/** The plain fields of an event's data on one line, lists by their length; what is hidden, empty or nested is left out. */
export function briefFields(data: unknown): string {
	if (!isNested(data)) return "";
	return pairs(data)
		.flatMap(([key, value]) => {
			if (Array.isArray(value)) return value.length > 0 ? [`${key}=×${value.length}`] : [];
			return value === PERSONAL || value === null || typeof value === "object" ? [] : [field(key, value)];
		})
		.join(" ");
}

const MAX_ITEMS = 20;

/** All fields of an event's data: plain ones on the first line, lists of objects and objects on lines of their own. */
export function allFields(data: unknown): string[] {
	if (!isNested(data)) return [""];
	const entries = pairs(data);
	const isLong = (value: unknown) => isNested(value) && (!Array.isArray(value) || value.some(isNested));
	const first = entries.filter(([, value]) => !isLong(value)).map(([key, value]) => field(key, value));
	const others = entries
		.filter(([, value]) => isLong(value))
		.flatMap(([key, value]) => [...(Array.isArray(value) ? listLines(key, value) : [`${key}: ${compact(value)}`])]);
	return [first.join(" "), ...others];
}

function listLines(key: string, items: readonly unknown[]): string[] {
	const more = items.length > MAX_ITEMS ? [`  … ${items.length - MAX_ITEMS} more`] : [];
	return [`${key}:`, ...items.slice(0, MAX_ITEMS).map((item) => `  ${compact(item)}`), ...more];
}
