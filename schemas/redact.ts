import type { z } from "zod";
import type { Entry } from "./entry.ts";
import { kinds } from "./events/all.ts";
import { type Privacy, privacy } from "./privacy.ts";

const PERSONAL = "[personal]";

type Definition = {
	type: string;
	innerType?: z.ZodType;
	shape?: Record<string, z.ZodType>;
	element?: z.ZodType;
	options?: z.ZodType[];
	valueType?: z.ZodType;
};
/** The parts of zod's own definition that a walk needs; its types name only the discriminator. */
const definition = (schema: z.ZodType): Definition => {
	const def: unknown = schema.def;
	return def as Definition;
};

/** Schemas that hold no others: what is public of them leaves as it is. */
const leaves: ReadonlySet<string> = new Set(["string", "number", "boolean", "enum", "literal", "unknown"]);

const strictness: readonly (Privacy | undefined)[] = [undefined, "public", "personal", "secret"];

/** What holds for a field: its own mark or that of what it stands in, whichever is stricter. */
function markOf(schema: z.ZodType, above: Privacy | undefined): Privacy | undefined {
	const own = privacy.get(schema)?.privacy;
	return strictness.indexOf(own) > strictness.indexOf(above) ? own : above;
}

/**
 * What leaves of a value under its schema: public fields as they are, personal ones as a mark, secret ones and fields that
 * nobody declared not at all. `above` is the mark of what the value stands in.
 */
export function redactValue(schema: z.ZodType, value: unknown, above?: Privacy): unknown {
	const mark = markOf(schema, above);
	if (mark === "secret" || value === undefined) return undefined;
	const { type, innerType, shape, element, options, valueType } = definition(schema);
	if (innerType) return redactValue(innerType, value, mark);
	if (mark === "personal") return value === null ? null : PERSONAL;
	if (value === null) return mark === "public" || shape || element || options ? null : undefined;
	if (shape && typeof value === "object") {
		return kept(Object.entries(shape).map(([key, field]) => [key, redactValue(field, Reflect.get(value, key), mark)]));
	}
	if (element && Array.isArray(value)) return value.map((item) => redactValue(element, item, mark));
	if (options) {
		const option = options.find((candidate) => candidate.safeParse(value).success);
		return option && redactValue(option, value, mark);
	}
	// Keys of a record are values too: they leave only where the record itself is public.
	if (valueType && mark === "public" && typeof value === "object") {
		return kept(Object.entries(value).map(([key, item]) => [key, redactValue(valueType, item, mark)]));
	}
	const fits = type === "unknown" || typeof value !== "object";
	return mark === "public" && leaves.has(type) && fits ? value : undefined;
}

const kept = (fields: [string, unknown][]): Record<string, unknown> =>
	Object.fromEntries(fields.filter(([, value]) => value !== undefined));

/** An entry as telemetry, logs and exports may see it. */
export function redact(entry: Entry): Record<string, unknown> {
	return {
		...entry,
		events: entry.events.map((event) => {
			const kind = kinds.get(event.type);
			return { seq: event.seq, type: event.type, data: kind ? redactValue(kind.data, event.data) : undefined };
		}),
	};
}

/** Paths of fields that have no privacy of their own or above them, and of those that `redactValue` cannot walk; a test expects none. */
export function unmarked(schema: z.ZodType, path: string, above?: Privacy): string[] {
	const mark = markOf(schema, above);
	const { type, innerType, shape, element, options, valueType } = definition(schema);
	if (mark === "personal" || mark === "secret") return [];
	if (innerType) return unmarked(innerType, path, mark);
	if (shape) return Object.entries(shape).flatMap(([key, field]) => unmarked(field, `${path}.${key}`, mark));
	if (element) return unmarked(element, `${path}[]`, mark);
	if (options) return options.flatMap((option) => unmarked(option, path, mark));
	if (valueType && mark) return unmarked(valueType, `${path}{}`, mark);
	return mark && leaves.has(type) ? [] : [path];
}
