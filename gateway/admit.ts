import type { Address, Draft, Entry } from "../schemas/entry.ts";
import { isEnd } from "../schemas/entry.ts";
import { CodedError } from "../schemas/errors.ts";
import type { DocumentPart, doors } from "../schemas/events/request.ts";
import { explain } from "../schemas/explain.ts";
import { type FinalObject, idempotencyKey, MAX_INPUT, type SubmitBody, submitBody } from "../schemas/frames.ts";
import { isConflict } from "../subjects/log.ts";
import { keyedRequestId, NO_SESSION, newSessionId, randomRequestId } from "../subjects/subjects.ts";
import type { Identity } from "./credentials.ts";
import { fingerprint } from "./fingerprint.ts";
import { acceptedOf, addressOf, mustOwnSession } from "./lookup.ts";
import type { FeatureDirectory, GatewayPorts } from "./ports.ts";
import { startTrace } from "./trace.ts";

export type AdmitPorts = Pick<GatewayPorts, "log" | "results" | "owners" | "admission" | "features">;

export type Submission = {
	identity: Identity;
	body: SubmitBody;
	idempotencyKey?: string | undefined;
	door: (typeof doors)[number];
	/** The caller's `traceparent`, if it sent one. */
	traceparent?: string | undefined;
	/** What an ingestion takes in. */
	documents?: readonly DocumentPart[];
};

export type AdmitHooks = {
	/** Called once the address is known and before its log is read or claimed: subscribe here, and nothing is missed (G2). At most once; the request may still be refused. */
	follow?(address: Address): Promise<void>;
	/** Called right before a claim, not before an attach: store here what the entry will refer to (L13). */
	beforeClaim?(address: Address): Promise<void>;
};

export type Admitted =
	/** `entries` is the log from its first entry on, as far as it is known. */
	| { outcome: "accepted" | "attached"; address: Address; entries: readonly Entry[] }
	| { outcome: "stored"; final: FinalObject };

/** Reads the body of a submit; rejects with `invalid_body`. */
export function readSubmit(value: unknown): SubmitBody {
	const parsed = submitBody.safeParse(value);
	if (parsed.success) return parsed.data;
	throw new CodedError("invalid_body", `${explain(parsed.error, value)}. See P4 in PROTOCOL.md.`);
}

/**
 * Admits one submit, for every door (L4): feature and role, session, then the tail of the log and the stored result of a
 * keyed request, then the limits, then the claim. Whoever loses the claim is attached. Rejects with `CodedError`.
 */
export async function admit(ports: AdmitPorts, submission: Submission, hooks: AdmitHooks = {}): Promise<Admitted> {
	const { identity, body, idempotencyKey: key } = submission;
	const { tenant, principal } = identity;
	const input = joined(body.input);
	const name = body.feature ?? ports.features.standard;
	const feature = allowedFeature(ports.features, name, body, identity);
	if (body.session_id !== undefined) await mustOwnSession(ports, identity, body.session_id);
	if (key !== undefined && !idempotencyKey.safeParse(key).success)
		throw new CodedError(
			"invalid_body",
			`the idempotency key is expected to have 1 to 255 characters, got ${key.length}`,
		);

	const request = key === undefined ? randomRequestId() : keyedRequestId(tenant, principal, key);
	const asked: Asked = { principal, fingerprint: fingerprint(body, submission.documents) };
	if (key !== undefined) {
		const earlier = await earlierTry(ports, tenant, request, asked, hooks);
		if (earlier) return earlier;
	}

	const { history, metadata } = body;
	const { documents } = submission;
	const deadline_ms = Math.min(body.deadline_ms ?? feature.deadline_ms, feature.deadline_ms);
	const address = { tenant, request, session: body.session_id ?? sessionFor(feature, request) };
	return claim(ports, address, startTrace(submission.traceparent), asked, deadline_ms, hooks, {
		audience: "session",
		actor: "gateway",
		cause: 0,
		final: false,
		attempt: 0,
		events: [
			{
				type: "request.accepted",
				data: {
					...asked,
					feature: name,
					config_sha: ports.features.sha256,
					roles: [...identity.roles],
					input,
					door: submission.door,
					deadline_ms,
					...(documents && { documents: [...documents] }),
					...(history && { history }),
					...(metadata && { metadata }),
				},
			},
		],
	});
}

/** Who asked for what: both must be equal for a try to be the same request. */
type Asked = { principal: string; fingerprint: string };
type FeatureRow = NonNullable<ReturnType<FeatureDirectory["find"]>>;

const sessionFor = (feature: FeatureRow, request: string) =>
	feature.session === "server" ? newSessionId(request) : NO_SESSION;

function joined(input: SubmitBody["input"]): string {
	const text = typeof input === "string" ? input : input.map((part) => part.text).join("\n\n");
	if (text.length <= MAX_INPUT) return text;
	throw new CodedError(
		"body_too_large",
		`"input" is expected to have at most ${MAX_INPUT} characters in all, got ${text.length}. Longer material belongs into documents.`,
	);
}

function allowedFeature(
	features: FeatureDirectory,
	name: string,
	{ session_id, history }: SubmitBody,
	{ roles }: Identity,
): FeatureRow {
	const feature = features.find(name);
	if (!feature)
		throw new CodedError(
			"unknown_feature",
			`"feature" is expected to be one of the configuration, and ${JSON.stringify(name)} is none`,
		);
	if (feature.roles.length > 0 && !feature.roles.some((role) => roles.includes(role)))
		throw new CodedError("forbidden", `feature ${name} expects one of the roles ${feature.roles.join(", ")}`);
	if (session_id !== undefined && feature.session !== "server")
		throw new CodedError("invalid_body", `feature ${name} keeps no session: leave "session_id" out`);
	if (history !== undefined && feature.session !== "client")
		throw new CodedError(
			"invalid_body",
			`"history" belongs to features whose history the client holds, and ${name} is none: leave it out`,
		);
	return feature;
}

function mustMatch(asked: Asked, known: Asked): void {
	if (asked.principal === known.principal && asked.fingerprint === known.fingerprint) return;
	throw new CodedError(
		"idempotency_mismatch",
		"the same body as before is expected under this idempotency key, and another one came. Use a new key for a new request.",
	);
}

/** What an earlier try of a keyed request came to: its log, or the stored result when the log has expired. */
async function earlierTry(
	{ log, results }: AdmitPorts,
	tenant: string,
	request: string,
	asked: Asked,
	hooks: AdmitHooks,
): Promise<Admitted | undefined> {
	const tail = await log.tail(tenant, request);
	if (tail) {
		const address = addressOf(tail);
		await hooks.follow?.(address);
		const entries = await log.read(address, 0);
		const accepted = acceptedOf(entries);
		if (accepted) {
			mustMatch(asked, accepted);
			return { outcome: "attached", address, entries };
		}
	}
	const stored = await results.find(tenant, request);
	if (stored) {
		mustMatch(asked, stored);
		return { outcome: "stored", final: stored.final };
	}
	if (!tail) return undefined;
	throw new CodedError(
		"not_found",
		"the request of this idempotency key has expired and left no result. Use a new key to ask again.",
	);
}

async function claim(
	{ log, admission }: AdmitPorts,
	address: Address,
	trace: string,
	asked: Asked,
	deadline_ms: number,
	hooks: AdmitHooks,
	draft: Draft,
): Promise<Admitted> {
	const { tenant, request } = address;
	const now = Date.now();
	const taken = await admission.take(tenant, request, now, now + deadline_ms);
	if (typeof taken === "object") {
		const limit = taken.refused === "rate_limited" ? "requests per minute" : "requests at the same time";
		throw new CodedError(
			taken.refused,
			`the tenant has reached its limit of ${limit}; try again in ${taken.retryAfter} s`,
			taken.retryAfter,
		);
	}
	const giveBack = () => admission.giveBack(tenant, request, now);

	try {
		await hooks.follow?.(address);
		await hooks.beforeClaim?.(address);
	} catch (problem) {
		if (taken === "taken") await giveBack();
		throw problem;
	}
	const result = await log.append(draft, { address, trace }).catch(async (problem: unknown) => {
		// Only this failure says that nothing was claimed; after any other the claim may stand, and so does its lease.
		if (!(problem instanceof CodedError && problem.code === "context_too_long")) throw problem;
		if (taken === "taken") await giveBack();
		throw new CodedError("body_too_large", problem.message);
	});
	if (!isConflict(result)) return { outcome: "accepted", address, entries: [result] };

	const entries = result.missed;
	const [first] = entries;
	const last = entries.at(-1);
	const accepted = acceptedOf(entries);
	if (!first || !last || !accepted)
		throw new CodedError("internal", "the log of this request does not begin with request.accepted");
	// The lease that stands belongs to the request, whoever claimed it; one taken after its end belongs to nobody.
	if (taken === "taken" && isEnd(last)) await giveBack();
	mustMatch(asked, accepted);
	return { outcome: "attached", address: addressOf(first), entries };
}
