import type { z } from "zod";

function describe(value: unknown): string {
	if (value === undefined) return "nothing";
	if (value === null) return "null";
	if (Array.isArray(value)) return `a list of ${value.length}`;
	if (typeof value === "object") return "an object";
	const text = JSON.stringify(value) ?? String(value);
	const shown = text.length > 60 ? `${text.slice(0, 57)}…` : text;
	const article = /^[aeiou]/.test(typeof value) ? "an" : "a";
	return `${article} ${typeof value} (${shown})`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
	let found = value;
	for (const key of path) found = typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined;
	return found;
}

/** Says the first fault of a value: which field, what was expected, what came. */
export function explain(error: z.ZodError, value: unknown): string {
	const issue = deepest(error.issues);
	if (!issue) return "the value is not valid";
	if (issue.code === "unrecognized_keys") {
		const where = issue.path.length === 0 ? "" : ` in "${issue.path.join(".")}"`;
		return `unknown ${issue.keys.length === 1 ? "field" : "fields"} ${issue.keys.map((key) => `"${key}"`).join(", ")}${where}`;
	}
	const name = issue.path.length === 0 ? "the body" : `"${issue.path.join(".")}"`;
	const expected = issue.code === "custom" ? issue.message : expectation(issue);
	return `${name} is expected to be ${expected}, got ${describe(at(value, issue.path))}`;
}

/** Of a union, the branch that came closest says more than the union does. */
function deepest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
	const first = issues[0];
	if (first?.code !== "invalid_union" || first.message !== "Invalid input") return first;
	const inner = first.errors.map((branch) => branch[0]).filter((issue) => issue !== undefined);
	const best = inner.reduce<z.core.$ZodIssue | undefined>(
		(kept, issue) => (issue.path.length > (kept?.path.length ?? 0) ? issue : kept),
		undefined,
	);
	return best ? { ...best, path: [...first.path, ...best.path] } : first;
}

function expectation(issue: z.core.$ZodIssue): string {
	// A schema's own message, where it has one, is written for the reader: it names what is expected.
	if (issue.message && !/^(Invalid|Too|Unrecognized)/.test(issue.message)) return issue.message;
	switch (issue.code) {
		case "invalid_type":
			return /^[aeiou]/.test(issue.expected) ? `an ${issue.expected}` : `a ${issue.expected}`;
		case "too_big":
			return `at most ${issue.maximum}${issue.origin === "string" ? " characters" : issue.origin === "array" ? " items" : ""}`;
		case "too_small":
			return `at least ${issue.minimum}${issue.origin === "string" ? " characters" : issue.origin === "array" ? " items" : ""}`;
		case "invalid_value":
			return `one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
		case "invalid_format":
			return `a text of the form ${issue.pattern ?? issue.format}`;
		default:
			return issue.message;
	}
}
