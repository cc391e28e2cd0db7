import { z } from "zod";
import { type Privacy, privacy } from "../privacy.ts";

/** A text that stands in one field of a sample and nowhere else. */
export type Canary = { text: string; path: string; privacy: Privacy | undefined };
export type Samples = { values: unknown[]; canaries: Canary[] };

const strictness = ["public", "personal", "secret"] as const;

/**
 * Values of a schema that fill every field, with one canary in every string: the variants of its unions, each at least once.
 * Written apart from `redact`, which is tested with it. Throws at a kind of schema that it does not know.
 */
export function samplesOf(schema: z.ZodType, name: string): Samples {
	const canaries: Canary[] = [];

	function canary(path: string, mark: Privacy | undefined): string {
		const text = `canary-${name}-${canaries.length}-`;
		canaries.push({ text, path, privacy: mark });
		return text;
	}

	function variants(part: z.ZodType, path: string, above: Privacy | undefined): unknown[] {
		const marks = [above, privacy.get(part)?.privacy];
		const mark = strictness.findLast((candidate) => marks.includes(candidate));
		if (part instanceof z.ZodOptional || part instanceof z.ZodNullable) {
			const inner = part.unwrap();
			if (inner instanceof z.ZodType) return variants(inner, path, mark);
		}
		if (part instanceof z.ZodObject) return objects(part, path, mark);
		if (part instanceof z.ZodArray && part.element instanceof z.ZodType) {
			return [variants(part.element, `${path}[]`, mark)];
		}
		if (part instanceof z.ZodUnion) {
			return part.options.flatMap((option) => (option instanceof z.ZodType ? variants(option, path, mark) : []));
		}
		if (part instanceof z.ZodRecord && part.valueType instanceof z.ZodType) {
			const items = variants(part.valueType, `${path}{}`, mark);
			return [Object.fromEntries(items.map((item) => [canary(`${path}{key}`, mark), item]))];
		}
		if (part instanceof z.ZodString || part instanceof z.ZodUnknown) return [canary(path, mark)];
		if (part instanceof z.ZodNumber) return [1];
		if (part instanceof z.ZodBoolean) return [true];
		if (part instanceof z.ZodEnum) return part.options.slice(0, 1);
		if (part instanceof z.ZodLiteral) return [part.value];
		throw new Error(`${path}: no sample is known for a schema of type ${part.type}`);
	}

	/** As many objects as the field with most variants needs. */
	function objects(part: z.ZodObject, path: string, mark: Privacy | undefined): unknown[] {
		const fields = Object.entries(part.shape).map(
			([key, field]) => [key, variants(field, `${path}.${key}`, mark)] as const,
		);
		const count = Math.max(1, ...fields.map(([, values]) => values.length));
		return Array.from({ length: count }, (_, at) =>
			Object.fromEntries(fields.map(([key, values]) => [key, values[at % values.length]])),
		);
	}

	const values = variants(schema, name, undefined);
	return { values, canaries };
}
