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
};
/** The parts of zod's own definition that a walk needs; its types name only the discriminator. */
const definition = (schema: z.ZodType): Definition => {
	const def: unknown = schema.def;
	return def as Definition;
};

const markOf = (schema: z.ZodType): Privacy | undefined => privacy.get(schema)?.privacy;

/** What leaves of a value under its schema: public fields as they are, personal ones as a mark, secret ones not at all. */
export function redactValue(schema: z.ZodType, value: unknown): unknown {
	const mark = markOf(schema);
	if (mark === "public") return value;
	if (mark === "personal") return value === null || value === undefined ? value : PERSONAL;
	if (mark === "secret" || value === null || value === undefined) return undefined;
	const { type, innerType, shape, element, options } = definition(schema);
	if (innerType) return redactValue(innerType, value);
	if (type === "object" && shape) {
		const kept: Record<string, unknown> = {};
		for (const [key, field] of Object.entries(shape)) {
			const left = redactValue(field, Reflect.get(Object(value), key));
			if (left !== undefined) kept[key] = left;
		}
		return kept;
	}
	if (type === "array" && element && Array.isArray(value)) return value.map((item) => redactValue(element, item));
	if (type === "union" && options) {
		const option = options.find((candidate) => candidate.safeParse(value).success);
		return option ? redactValue(option, value) : undefined;
	}
	// A field that nobody declared does not leave.
	return undefined;
}

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

/** Paths of fields that have no privacy of their own or above them; a test expects none. */
export function unmarked(schema: z.ZodType, path: string): string[] {
	if (markOf(schema)) return [];
	const { type, innerType, shape, element, options } = definition(schema);
	if (innerType) return unmarked(innerType, path);
	if (type === "object" && shape)
		return Object.entries(shape).flatMap(([key, field]) => unmarked(field, `${path}.${key}`));
	if (type === "array" && element) return unmarked(element, `${path}[]`);
	if (type === "union" && options) return options.flatMap((option) => unmarked(option, path));
	return [path];
}
