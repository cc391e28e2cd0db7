import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { audiences } from "../schemas/entry.ts";
import { requestId, sessionId, TOKEN } from "../schemas/tokens.ts";
import {
	audienceSubjects,
	dueTimerSubject,
	entrySubject,
	foundingRequest,
	keyedRequestId,
	NO_SESSION,
	newSessionId,
	parseDueTimer,
	parseEntrySubject,
	pushedRequest,
	pushedSession,
	randomRequestId,
	requestSubjects,
	timerSubject,
} from "./subjects.ts";

const request = "r_abcdefghijklmnopqrstuvwxyz";
const address = { tenant: "acme", request, session: "s_abcdefghijklmnopqrstuvwxyz" };

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const key = fc.string({ minLength: 1, maxLength: 255, unit: "binary" });
const addresses = fc.record({ tenant: token, request: fc.stringMatching(/^r_[a-z2-7]{26}$/), session: token });

/** What L4 says, in another way than the code: the hash as one number, written in base 32. */
function expectedId(text: string): string {
	const digest = BigInt(`0x${createHash("sha256").update(text, "utf8").digest("hex")}`);
	// The first 26 characters are the first 130 of 256 bits.
	const digits = (digest >> 126n).toString(32).padStart(26, "0");
	return `r_${[...digits].map((digit) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(digit, 32)]).join("")}`;
}

/** A subject matches a filter as NATS has it: `*` is one token, `>` all that follow. */
function matches(filter: string, subject: string): boolean {
	const pattern = filter.split(".").map((part) => (part === "*" ? "[^.]+" : part === ">" ? ".+" : part));
	return new RegExp(`^${pattern.join("\\.")}$`).test(subject);
}

test.each([
	["acme", "alice", "key-1", "r_hnv6mwc6zso2jw5xfjymnozlaw"],
	["acme", "j_abc", "ü €", "r_lh4xepcqqhlks66akw4vrlgrvn"],
	["t", "p", "", "r_myo3pvt4etsohrtdomxcegmqwy"],
])("[L4] the id of a keyed request is known beforehand: %s %s %j", (tenant, principal, name, id) => {
	expect(keyedRequestId(tenant, principal, name)).toBe(id);
});

test("[L4] the id is the first 130 bits of the hash, whatever is hashed", () => {
	fc.assert(
		fc.property(token, token, key, (tenant, principal, name) => {
			const id = keyedRequestId(tenant, principal, name);
			expect(id).toBe(expectedId(`${tenant}\0${principal}\0${name}`));
			expect(requestId.safeParse(id).success).toBe(true);
			expect(keyedRequestId(tenant, principal, name)).toBe(id);
		}),
	);
});

test("[L4] another tenant, principal or key is another request", () => {
	const named = fc.tuple(token, token, key);
	fc.assert(
		fc.property(named, named, (one, other) => {
			const same = one.every((part, at) => part === other[at]);
			expect(keyedRequestId(...one) === keyedRequestId(...other)).toBe(same);
		}),
	);
	const id = keyedRequestId("acme", "alice", "1");
	expect(keyedRequestId("globex", "alice", "1")).not.toBe(id);
	expect(keyedRequestId("acme", "bob", "1")).not.toBe(id);
	expect(keyedRequestId("acme", "alice", "2")).not.toBe(id);
});

test("[L4] no key can pass for another principal's: the separator cannot stand in a token", () => {
	// Without the rule on tokens these would be one request.
	expect(keyedRequestId("a", "b", "c\0d")).toBe(keyedRequestId("a", "b\0c", "d"));
	for (const principal of ["b\0c", "b\0", "\0"]) {
		expect(TOKEN.test(principal)).toBe(false);
		expect(() => entrySubject({ ...address, tenant: principal }, "stream")).toThrow(/tenant is expected/);
	}
	fc.assert(
		fc.property(token, token, key, fc.nat(254), (tenant, principal, name, cut) => {
			// The same bytes cut elsewhere: the tail of the principal moved into the key.
			const moved = principal.slice(cut % principal.length);
			const kept = principal.slice(0, cut % principal.length);
			if (kept === "") return;
			expect(keyedRequestId(tenant, kept, moved + name)).not.toBe(keyedRequestId(tenant, principal, name));
			expect(keyedRequestId(tenant, kept, `${moved}\0${name}`)).not.toBe(keyedRequestId(tenant, principal, name));
		}),
	);
});

test("[L4] ids without a key are of the same form and never the same", () => {
	const ids = Array.from({ length: 1_000 }, () => randomRequestId());
	expect(new Set(ids).size).toBe(ids.length);
	for (const id of ids) expect(requestId.safeParse(id).success).toBe(true);
});

test("[L1] random ids fall on all 32 slots", () => {
	const slots = new Set(Array.from({ length: 2_000 }, () => randomRequestId()[2]));
	expect([...slots].sort().join("")).toBe("234567abcdefghijklmnopqrstuvwxyz");
});

test("[L1] a new session is named after the request that began it", () => {
	expect(newSessionId(request)).toBe("s_abcdefghijklmnopqrstuvwxyz");
	expect(foundingRequest(newSessionId(request))).toBe(request);
	expect(sessionId.safeParse(newSessionId(randomRequestId())).success).toBe(true);
	expect(TOKEN.test(NO_SESSION) && NO_SESSION).toBe("-");
});

test("[L1] the address of an entry, and what filters it", () => {
	expect(entrySubject(address, "inference")).toBe(`log.a.inference.acme.${request}.s_abcdefghijklmnopqrstuvwxyz`);
	expect(requestSubjects("acme", request)).toBe(`log.a.*.acme.${request}.*`);
	expect(audienceSubjects("inference")).toBe("log.*.inference.>");
	expect(pushedRequest("acme", request)).toBe(`push.log.a.*.acme.${request}.*`);
	expect(pushedSession("acme", address.session)).toBe("push.log.*.*.acme.*.s_abcdefghijklmnopqrstuvwxyz");
});

test("[L1] the address reads back out of every subject", () => {
	fc.assert(
		fc.property(addresses, fc.constantFrom(...audiences), (where, audience) => {
			expect(parseEntrySubject(entrySubject(where, audience))).toEqual({ ...where, audience });
		}),
	);
});

test("[L1] a request's filter covers its entries and no other's, nor another tenant's", () => {
	fc.assert(
		fc.property(addresses, addresses, fc.constantFrom(...audiences), (one, other, audience) => {
			const filter = requestSubjects(one.tenant, one.request);
			expect(matches(filter, entrySubject(one, audience))).toBe(true);
			expect(matches(filter, entrySubject({ ...one, session: NO_SESSION }, audience))).toBe(true);
			if (other.request !== one.request) {
				expect(matches(filter, entrySubject({ ...one, request: other.request }, audience))).toBe(false);
			}
			if (other.tenant !== one.tenant) {
				expect(matches(filter, entrySubject({ ...one, tenant: other.tenant }, audience))).toBe(false);
			}
			const session = pushedSession(one.tenant, one.session);
			expect(matches(session, `push.${entrySubject({ ...one, request: other.request }, audience)}`)).toBe(true);
			if (other.session !== one.session) {
				expect(matches(session, `push.${entrySubject({ ...one, session: other.session }, audience)}`)).toBe(false);
			}
		}),
	);
});

const hostile = ["", "a.b", "*", ">", "a b", "a\n", "ü", "a\0b", "x".repeat(65)];

test.each(hostile.map((text) => [text]))("[L1] a token that could widen a subject is refused: %j", (text) => {
	const attempts = [
		() => entrySubject({ ...address, tenant: text }, "stream"),
		() => entrySubject({ ...address, session: text }, "stream"),
		() => entrySubject({ ...address, request: `r_${text}.` }, "stream"),
		() => requestSubjects(text, request),
		() => requestSubjects("acme", text),
		() => pushedRequest(text, request),
		() => pushedSession(text, address.session),
		() => pushedSession("acme", text),
		() => timerSubject({ ...address, timer: text }),
		() => dueTimerSubject({ ...address, tenant: text, timer: "deadline" }),
	];
	for (const attempt of attempts) expect(attempt).toThrow(/is expected to be(gin with r_| 1 to 64)/);
});

test("[L1] the slot is a character of the id and never a wildcard", () => {
	for (const id of ["r_", "x_aaaa", "r_*", "r_>", "r_.a"])
		expect(() => requestSubjects("acme", id)).toThrow(/expected/);
});

test("what is no subject of the log is refused", () => {
	for (const subject of [
		"",
		"log",
		"log.a.kitchen.acme.r.s",
		"log.a.stream.acme.r",
		`push.${entrySubject(address, "stream")}`,
	]) {
		expect(() => parseEntrySubject(subject)).toThrow(/a subject of the log is expected/);
	}
});

test("[L10] a timer is set and due under one address", () => {
	const timer = { ...address, timer: "deadline" };
	expect(timerSubject(timer)).toBe(`timers.set.a.acme.${request}.${address.session}.deadline`);
	expect(dueTimerSubject(timer)).toBe(`timers.due.a.acme.${request}.${address.session}.deadline`);
	fc.assert(
		fc.property(addresses, token, (where, name) => {
			expect(parseDueTimer(dueTimerSubject({ ...where, timer: name }))).toEqual({ ...where, timer: name });
		}),
	);
	expect(() => parseDueTimer("timers.due.a.acme")).toThrow(/due timer/);
});
