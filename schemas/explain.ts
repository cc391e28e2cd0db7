import type { z } from "zod";

type Issue = z.core.$ZodIssue;

/** Characters that a message repeats of what came; it goes back to the caller, and neither into the log nor into telemetry. */
const QUOTED = 60;
/** Unknown fields that a message names. */
const NAMED = 5;

/**
 * Says the first fault of a value: which field, what was expected, what came. It quotes what came, so it is for the one
 * who sent the value.
 */
export function explain(error: z.ZodError, value: unknown): string {
	const issue = deepest(error.issues);
	if (!issue) return "the value is not valid";
	if (issue.code === "unrecognized_keys") return unknownFields(issue.keys, issue.path);
	if (issue.code === "invalid_key") {
		const key = describe(String(issue.path.at(-1)));
		return `a key of ${nameOf(issue.path.slice(0, -1))} is expected to be ${expectation(issue.issues[0])}, got ${key}`;
	}
	const expected = expectation(issue);
	// A rule over several fields says itself what came: the value at its path is too large to show.
	const got = issue.code === "custom" && expected.includes(", got ") ? "" : `, got ${describe(at(value, issue.path))}`;
	return `${nameOf(issue.path)} is expected to be ${expected}${got}`;
}

const clipped = (text: string): string =>
	// No half of a surrogate pair stays at the end.
	text.length > QUOTED ? `${text.slice(0, QUOTED - 1).replace(/[\uD800-\uDBFF]$/, "")}…` : text;

const nameOf = (path: readonly PropertyKey[]): string =>
	path.length === 0 ? "the body" : `"${path.map((key) => clipped(String(key))).join(".")}"`;

function unknownFields(keys: readonly string[], path: readonly PropertyKey[]): string {
	const names = keys.slice(0, NAMED).map((key) => `"${clipped(key)}"`);
	const more = keys.length > NAMED ? ` and ${keys.length - NAMED} more` : "";
	const where = path.length === 0 ? "" : ` in ${nameOf(path)}`;
	return `unknown ${keys.length === 1 ? "field" : "fields"} ${names.join(", ")}${more}${where}`;
}

const withArticle = (noun: string): string => `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;

function describe(value: unknown): string {
	if (value === undefined) return "nothing";
	if (value === null) return "null";
	if (Array.isArray(value)) return `a list of ${value.length}`;
	if (typeof value === "string") {
		const length = value.length > QUOTED ? ` of ${value.length} characters` : "";
		return `a string${length} (${JSON.stringify(clipped(value))})`;
	}
	return typeof value === "object" ? "an object" : `${withArticle(typeof value)} (${clipped(String(value))})`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
	let found = value;
	for (const key of path) found = typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined;
	return found;
}

/** Of a union, a branch that got inside the value says more than the union does; the one that got furthest says most. */
function deepest(issues: readonly Issue[]): Issue | undefined {
	const first = issues[0];
	if (first?.code !== "invalid_union") return first;
	const inside = first.errors
		.map((branch) => deepest(branch))
		.filter((issue) => issue !== undefined)
		.filter((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys");
	const best = inside.reduce<Issue | undefined>(
		(kept, issue) => (kept && kept.path.length >= issue.path.length ? kept : issue),
		undefined,
	);
	return best ? { ...best, path: [...first.path, ...best.path] } : first;
}

/** A schema's own message, where it has one, is written for the reader: it names what is expected. zod's begin otherwise. */
const ownMessage = ({ message }: Issue): string | undefined =>
	/^(Invalid|Too|Unrecognized)\b/.test(message) ? undefined : message;

const typeNames: Readonly<Record<string, string>> = {
	int: "a whole number",
	array: "a list",
	record: "an object",
	undefined: "left out",
	never: "left out",
	nonoptional: "given",
	null: "null",
};

function expectation(issue: Issue | undefined): string {
	if (!issue) return "valid";
	const own = ownMessage(issue);
	if (own) return own;
	switch (issue.code) {
		case "invalid_type":
			return typeNames[issue.expected] ?? withArticle(issue.expected);
		case "too_small":
			return bound(issue.origin, issue.exact ? "exactly" : issue.inclusive ? "at least" : "more than", issue.minimum);
		case "too_big":
			return bound(issue.origin, issue.exact ? "exactly" : issue.inclusive ? "at most" : "less than", issue.maximum);
		case "not_multiple_of":
			return `a multiple of ${issue.divisor}`;
		case "invalid_value":
			return oneOf(issue.values);
		case "invalid_format":
			return `a string of the form ${issue.pattern ?? issue.format}`;
		case "invalid_union":
			return "options" in issue && issue.options ? oneOf(issue.options) : eitherOf(issue.errors);
		default:
			return issue.message;
	}
}

function bound(origin: string, relation: string, limit: number | bigint): string {
	const noun = origin === "string" ? "string" : origin === "array" ? "list" : undefined;
	if (!noun) return `${relation} ${limit}`;
	if (relation === "at least" && Number(limit) === 1) return `a non-empty ${noun}`;
	const unit = origin === "string" ? "character" : "item";
	return `a ${noun} of ${relation} ${limit} ${unit}${Number(limit) === 1 ? "" : "s"}`;
}

function oneOf(values: readonly unknown[]): string {
	const names = values.map((value) => JSON.stringify(value) ?? String(value));
	return names.length === 1 ? `${names[0]}` : `one of ${names.join(", ")}`;
}

function eitherOf(branches: readonly (readonly Issue[])[]): string {
	return [...new Set(branches.map((branch) => expectation(branch[0])))].join(" or ") || "valid";
}
