import { TOKEN } from "../../schemas/tokens.ts";
import type { Change, Where } from "./documents.ts";

/** What every form of Documents checks before it touches its store, so that all of them refuse the same things. */

const LONGEST = 512;
/** MongoDB nests no deeper than 100 levels, of which the document itself is one. */
const DEEPEST = 90;

/** Throws unless `tenant` is a token, as in the subjects of the log (L1). */
export function checkTenant(tenant: string): void {
	if (typeof tenant !== "string" || !TOKEN.test(tenant)) {
		throw new Error(`documents: the tenant is expected to match ${TOKEN.source}, got ${shown(tenant)}.`);
	}
}

/** Throws unless `text` can be a kind, an id or a part of an index; `what` names it in the message. */
export function checkName(what: string, text: string): void {
	if (typeof text !== "string" || text === "" || text.length > LONGEST || !text.isWellFormed()) {
		throw new Error(
			`documents: ${what} is expected to be a string of 1 to ${LONGEST} characters without lone surrogates, got ${shown(text)}.`,
		);
	}
}

/** Throws unless the place of a document is one that every store can hold. */
export function checkPlace(tenant: string, kind: string, id: string): void {
	checkTenant(tenant);
	checkName("the kind", kind);
	checkName("the id", id);
}

/** Throws unless `where` asks for something that can be found. */
export function checkWhere(where: Where): void {
	if (!Number.isSafeInteger(where.limit) || where.limit < 1) {
		throw new Error(`documents: limit is expected to be a whole number from 1, got ${shown(where.limit)}.`);
	}
	// An empty prefix is that of every id, and every id comes after the empty one.
	if (where.prefix !== undefined && where.prefix !== "") checkName("prefix", where.prefix);
	if (where.after !== undefined && where.after !== "") checkName("after", where.after);
	if (where.index !== undefined) checkIndex(where.index);
}

/** Throws unless the change can be made or refused. Gives the JSON of the value that it brings, `""` if it brings none. */
export function checkChange(tenant: string, change: Change): string {
	checkPlace(tenant, change.kind, change.id);
	const place = `${shown(change.kind)} ${shown(change.id)}`;
	if (change.op === "remove") return "";
	if (change.op === "add") {
		if (!Number.isSafeInteger(change.by)) {
			throw new Error(
				`documents: ${place}: "by" is expected to be a safe integer, got ${shown(change.by)}. Count in the smallest unit.`,
			);
		}
		if (change.ceiling !== undefined && !Number.isSafeInteger(change.ceiling)) {
			throw new Error(
				`documents: ${place}: "ceiling" is expected to be a safe integer, got ${shown(change.ceiling)}. Leave it out where there is none.`,
			);
		}
		return "";
	}
	if (change.op === "replace" && !Number.isSafeInteger(change.version)) {
		throw new Error(
			`documents: ${place}: "version" is expected to be that of the document read, got ${shown(change.version)}.`,
		);
	}
	for (const index of Object.entries(change.indexes ?? {})) checkIndex(index);
	const problem = jsonProblem(change.value, "value", 0);
	if (problem) throw new Error(`documents: ${place} cannot be stored as JSON: ${problem}.`);
	return JSON.stringify(change.value);
}

/**
 * The sum that an `add` leads to, or its refusal; `before` is the value that stands there, `{value: 0}` if there is none.
 * Throws when that is no counter, or when the sum is no longer exact.
 */
export function addedTo(before: unknown, change: Extract<Change, { op: "add" }>): number | "ceiling" {
	const place = `${shown(change.kind)} ${shown(change.id)}`;
	if (!isCounter(before)) {
		throw new Error(
			`documents: add expects ${place} to be a counter, {value: safe integer}; another value stands there. Use another id.`,
		);
	}
	const sum = before.value + change.by;
	if (change.by > 0 && change.ceiling !== undefined && sum > change.ceiling) return "ceiling";
	if (!Number.isSafeInteger(sum)) {
		throw new Error(`documents: the sum of ${place} would be ${sum}, beyond what a number holds exactly.`);
	}
	return sum;
}

function isCounter(value: unknown): value is { value: number } {
	return (
		typeof value === "object" &&
		value !== null &&
		"value" in value &&
		Number.isSafeInteger(value.value) &&
		Object.keys(value).length === 1
	);
}

function checkIndex([name, value]: readonly [name: string, value: string]): void {
	checkName("the name of an index", name);
	checkName(`the value of index ${shown(name)}`, value);
}

/**
 * What `JSON.stringify` would lose in silence or stumble over: NaN turns into null, a Map into `{}`, a Date into a
 * string, and a ledger that holds them is wrong without anybody noticing.
 */
function jsonProblem(value: unknown, path: string, depth: number): string | undefined {
	if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
	if (typeof value === "number") return Number.isFinite(value) ? undefined : `${path} is ${value}`;
	if (typeof value !== "object") return `${path} is ${value === undefined ? "undefined" : `a ${typeof value}`}`;
	if (depth === DEEPEST) return `${path} is nested deeper than ${DEEPEST} levels, or holds itself`;
	if (Array.isArray(value)) {
		for (let at = 0; at < value.length; at++) {
			const problem = jsonProblem(value[at], `${path}[${at}]`, depth + 1);
			if (problem) return problem;
		}
		return undefined;
	}
	const prototype: unknown = Object.getPrototypeOf(value);
	if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
		return `${path} is a ${value.constructor?.name ?? "class instance"}, expected a plain object`;
	}
	for (const [key, part] of Object.entries(value)) {
		const problem = part === undefined ? undefined : jsonProblem(part, `${path}.${key}`, depth + 1);
		if (problem) return problem;
	}
	return undefined;
}

/** A value as an error message shows it: short, quoted, of a known type. */
function shown(value: unknown): string {
	if (typeof value === "string")
		return value.length > 40
			? `${JSON.stringify(value.slice(0, 40))}… (${value.length} characters)`
			: JSON.stringify(value);
	if (typeof value === "number") return String(value);
	return value === undefined ? "nothing" : value === null ? "null" : `a ${typeof value}`;
}
