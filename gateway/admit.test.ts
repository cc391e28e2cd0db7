import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connectBus } from "../infra/bus/connect.ts";
import { jetStreamLog } from "../infra/bus/jetstream-log.ts";
import { type Link, openLink } from "../infra/bus/link.ts";
import { ensureStreams } from "../infra/bus/streams.ts";
import { silent, startTestNats, type TestNats } from "../infra/testing/nats.ts";
import type { Entry } from "../schemas/entry.ts";
import { MAX_INPUT } from "../schemas/frames.ts";
import type { Log } from "../subjects/log.ts";
import { keyedRequestId, newSessionId, randomRequestId } from "../subjects/subjects.ts";
import { type Admitted, admit, readSubmit, type Submission } from "./admit.ts";
import { fingerprint } from "./fingerprint.ts";
import { alice, bob, type MemoryPorts, memoryPorts, stranger } from "./testing/memory-ports.ts";
import { storyOf } from "./testing/story.ts";

let nats: TestNats;
let link: Link;
let log: Log;
let ports: MemoryPorts;
beforeAll(async () => {
	nats = await startTestNats();
	link = openLink(await connectBus({ url: nats.url, token: nats.token, name: "admit", log: silent }));
	await ensureStreams(link.connection, 24);
	log = jetStreamLog({ link, writer: "admit", patienceMs: 5_000 });
});
beforeEach(() => {
	ports = memoryPorts(log);
});
afterAll(async () => {
	await link?.close();
	await nats?.[Symbol.asyncDispose]();
});

const key = () => randomRequestId();
const submission = (more: Partial<Submission> = {}): Submission => ({
	identity: alice,
	body: { input: "hello" },
	door: "http",
	...more,
});

function logged(admitted: Admitted): Extract<Admitted, { entries: readonly Entry[] }> {
	if (admitted.outcome === "stored") throw new Error("a request in the log was expected");
	return admitted;
}

test("[L4] a claim puts what was asked, by whom and under which configuration into the log", async () => {
	const body = readSubmit({
		input: [
			{ type: "text", text: "a" },
			{ type: "text", text: "b" },
		],
		metadata: { m: "1" },
		deadline_ms: 900_00,
	});
	const { outcome, address, entries } = logged(await admit(ports, submission({ body })));
	expect(outcome).toBe("accepted");
	expect(address.session).toBe(newSessionId(address.request));
	expect(await log.read(address, 0)).toEqual(entries);
	expect(entries).toMatchObject([
		{ index: 1, audience: "session", actor: "gateway", cause: 0, final: false, attempt: 0 },
	]);
	expect(entries[0]?.events).toEqual([
		{
			seq: 1,
			type: "request.accepted",
			data: {
				fingerprint: fingerprint(body),
				principal: "alice",
				roles: ["user"],
				feature: "chat",
				config_sha: "configuration",
				door: "http",
				input: "a\n\nb",
				metadata: { m: "1" },
				// The feature's own: a caller can shorten it only.
				deadline_ms: 60_000,
			},
		},
	]);
});

test("[L4] of five identical submits at once one is accepted and four are attached, with one lease", async () => {
	const same = submission({ idempotencyKey: key() });
	const admitted = (await Promise.all(Array.from({ length: 5 }, () => admit(ports, same)))).map(logged);
	expect(admitted.map(({ outcome }) => outcome).sort()).toEqual([
		"accepted",
		"attached",
		"attached",
		"attached",
		"attached",
	]);
	expect(new Set(admitted.map(({ entries }) => entries[0]?.id)).size).toBe(1);
	expect(ports.admission.open).toEqual(new Set([`acme/${admitted[0]?.address.request}`]));
});

test("[L4] the request id follows from tenant, principal and key alone: two users of a tenant may use the same key", async () => {
	const idempotencyKey = key();
	const requests = await Promise.all(
		[alice, bob, stranger].map(async (identity) =>
			logged(await admit(ports, submission({ identity, idempotencyKey }))),
		),
	);
	expect(requests.map(({ outcome, address }) => [outcome, address.request])).toEqual(
		[alice, bob, stranger].map(({ tenant, principal }) => [
			"accepted",
			keyedRequestId(tenant, principal, idempotencyKey),
		]),
	);
	expect(new Set(requests.map(({ address }) => address.request)).size).toBe(3);
});

test("[L4] a retry is not refused by a limit while its first try runs, a new request is", async () => {
	const same = submission({ idempotencyKey: key() });
	await admit(ports, same);
	ports.admission.refusal = { refused: "rate_limited", retryAfter: 7 };
	expect(await admit(ports, same)).toMatchObject({ outcome: "attached" });
	await expect(admit(ports, submission())).rejects.toMatchObject({ code: "rate_limited", retryAfter: 7 });
});

test("[L4] another body under the same key is a mismatch: running, ended or expired", async () => {
	const idempotencyKey = key();
	const other = submission({ idempotencyKey, body: { input: "another" } });
	const { address, entries } = logged(await admit(ports, submission({ idempotencyKey })));
	await expect(admit(ports, other)).rejects.toMatchObject({ code: "idempotency_mismatch" });
	await (await storyOf(log, address)).end();
	await expect(admit(ports, other)).rejects.toMatchObject({ code: "idempotency_mismatch" });
	const expired = memoryPorts(log);
	const gone = submission({ idempotencyKey: key() });
	const request = keyedRequestId("acme", "alice", gone.idempotencyKey ?? "");
	expired.results.rows.set(`acme/${request}`, { fingerprint: "f", principal: "alice", final: finalOf(request) });
	await expect(admit(expired, gone)).rejects.toMatchObject({ code: "idempotency_mismatch" });
	expect(entries).toHaveLength(1);
});

const finalOf = (request_id: string) => ({
	request_id,
	session_id: newSessionId(request_id),
	status: "completed" as const,
	output_text: "done",
	citations: [],
	usage: null,
	finish_reason: "stop",
	final_seq: 9,
});

test("[L4] when the log has expired, the same key gets the stored result and nothing is claimed", async () => {
	const again = submission({ idempotencyKey: key() });
	const request = keyedRequestId("acme", "alice", again.idempotencyKey ?? "");
	const final = finalOf(request);
	ports.results.rows.set(`acme/${request}`, { fingerprint: fingerprint(again.body), principal: "alice", final });
	ports.admission.refusal = { refused: "rate_limited", retryAfter: 7 };
	expect(await admit(ports, again)).toEqual({ outcome: "stored", final });
	expect(await log.tail("acme", request)).toBeUndefined();
});

test("[L4] a lost claim attaches, and the lease stays with the request that runs", async () => {
	const same = submission({ idempotencyKey: key() });
	const others = memoryPorts(log);
	ports.admission.meanwhile = async () => {
		await admit(others, same);
	};
	const { outcome, address } = logged(await admit(ports, same));
	expect(outcome).toBe("attached");
	expect(ports.admission.open).toEqual(new Set([`acme/${address.request}`]));
});

test("[L4] a claim lost to a request that has ended meanwhile gives its lease back", async () => {
	const same = submission({ idempotencyKey: key() });
	const others = memoryPorts(log);
	ports.admission.meanwhile = async () => {
		const { address } = logged(await admit(others, same));
		await (await storyOf(log, address)).end();
	};
	const { outcome, entries } = logged(await admit(ports, same));
	expect([outcome, entries.length]).toEqual(["attached", 2]);
	expect(ports.admission.open.size).toBe(0);
});

test("[L4] a claim lost to another body is a mismatch too", async () => {
	const idempotencyKey = key();
	ports.admission.meanwhile = async () => {
		await admit(memoryPorts(log), submission({ idempotencyKey, body: { input: "first" } }));
	};
	await expect(admit(ports, submission({ idempotencyKey }))).rejects.toMatchObject({ code: "idempotency_mismatch" });
});

test("[G2] the hooks run before the claim, following first", async () => {
	const order: string[] = [];
	const { address } = logged(
		await admit(ports, submission(), {
			async follow({ tenant, request }) {
				order.push(`follow ${await log.tail(tenant, request)}`);
			},
			async beforeClaim({ tenant, request }) {
				order.push(`before claim ${await log.tail(tenant, request)}`);
			},
		}),
	);
	expect(order).toEqual(["follow undefined", "before claim undefined"]);
	expect(await log.tail("acme", address.request)).toBeDefined();
});

test("a hook that fails claims nothing and gives the lease back", async () => {
	const failing = admit(ports, submission(), { beforeClaim: () => Promise.reject(new Error("no room")) });
	await expect(failing).rejects.toThrow("no room");
	expect(ports.admission.open.size).toBe(0);
});

test("an entry over the log's limit is refused as too large and gives the lease back", async () => {
	const history = Array.from({ length: 5 }, () => ({ role: "user" as const, text: "x".repeat(MAX_INPUT) }));
	const body = readSubmit({ input: "x", feature: "stateless", history });
	await expect(admit(ports, submission({ body }))).rejects.toMatchObject({ code: "body_too_large" });
	expect(ports.admission.open.size).toBe(0);
});

test("[P5] a session is open to the principal that began it; a foreign one and an unknown one get the same words", async () => {
	const { address } = logged(await admit(ports, submission()));
	const { session } = address;
	const next = (identity: typeof alice, session_id: string) =>
		admit(ports, submission({ identity, body: { input: "next", session_id } })).catch(
			(problem: Error) => problem.message,
		);
	// Known by the log alone, then by its record.
	expect(await next(alice, session)).toMatchObject({ outcome: "accepted", address: { session } });
	const unknown = await next(alice, newSessionId(randomRequestId()));
	expect(unknown).toMatch(/session_id is expected to name a session of this caller/);
	expect(await next(bob, session)).toBe(unknown);
	expect(await next(stranger, session)).toBe(unknown);
	ports.owners.rows.set(`acme/${session}`, "bob");
	expect(await next(bob, session)).toMatchObject({ outcome: "accepted", address: { session } });
	expect(await next(alice, session)).toBe(unknown);
});

test("[P5] a request within a session does not found one of its own", async () => {
	const { address } = logged(await admit(ports, submission()));
	const inside = logged(await admit(ports, submission({ body: { input: "x", session_id: address.session } })));
	const session_id = newSessionId(inside.address.request);
	await expect(admit(ports, submission({ body: { input: "x", session_id } }))).rejects.toMatchObject({
		code: "not_found",
	});
});

test.each([
	["unknown_feature", { input: "x", feature: "nope" }],
	["forbidden", { input: "x", feature: "admin" }],
	["invalid_body", { input: "x", history: [] }],
	["invalid_body", { input: "x", feature: "stateless", session_id: "s_aaaaaaaaaaaaaaaaaaaaaaaaaa" }],
	["body_too_large", { input: Array.from({ length: 2 }, () => ({ type: "text", text: "x".repeat(MAX_INPUT) })) }],
])("[P4] %s before anything is claimed", async (code, body) => {
	await expect(admit(ports, submission({ body: readSubmit(body) }))).rejects.toMatchObject({ code });
	expect(ports.admission.open.size).toBe(0);
});

test.each([
	[{}, /"input" is expected to be .*, got nothing/],
	[{ input: "" }, /"input"/],
	[{ input: 7 }, /"input" is expected to be a non-empty string .*, got a number \(7\)/],
	[{ input: "x", nonsense: 1 }, /unknown field "nonsense"/],
	[[], /the body is expected to be an object, got a list of 0/],
])("[P4] a body that is wrong is told what is wrong with it: %j", (body, words) => {
	expect(() => readSubmit(body)).toThrow(words);
});

test("[P5] features without a session of the server say -", async () => {
	const body = readSubmit({ input: "x", feature: "stateless", history: [{ role: "user", text: "before" }] });
	expect(await admit(ports, submission({ body }))).toMatchObject({ outcome: "accepted", address: { session: "-" } });
});

test("[P6] a key that is too long is refused", async () => {
	await expect(admit(ports, submission({ idempotencyKey: "x".repeat(256) }))).rejects.toThrow(
		/1 to 255 characters, got 256/,
	);
});
