import { createHash, randomBytes } from "node:crypto";
import type { Address, Audience } from "../schemas/entry.ts";
import { audiences } from "../schemas/entry.ts";
import { TOKEN } from "../schemas/tokens.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const ID_LENGTH = 26;

/** RFC 4648 base32, lower case, without padding. */
function base32(bytes: Uint8Array, length: number): string {
	let bits = 0;
	let value = 0;
	let text = "";
	for (const byte of bytes) {
		value = (value << 8) | byte;
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			text += ALPHABET[(value >>> bits) & 31];
			value &= (1 << bits) - 1;
		}
	}
	return text.slice(0, length);
}

/** The id that a keyed request always has, whoever computes it (L4). */
export const keyedRequestId = (tenant: string, principal: string, key: string): string =>
	`r_${base32(createHash("sha256").update(`${tenant}\0${principal}\0${key}`).digest(), ID_LENGTH)}`;

/** 130 random bits. */
export const randomRequestId = (): string => `r_${base32(randomBytes(17), ID_LENGTH)}`;

/** The session that a request without one begins (L1). */
export const newSessionId = (request: string): string => `s_${request.slice(2)}`;

/** The request that began a session. */
export const foundingRequest = (session: string): string => `r_${session.slice(2)}`;

/** Session token of requests whose history the client holds. */
export const NO_SESSION = "-";

function checked(token: string, what: string): string {
	if (!TOKEN.test(token))
		throw new Error(`${what} is expected to be 1 to 64 of A-Z a-z 0-9 _ -, got ${JSON.stringify(token)}`);
	return token;
}

/** The part of the log that a request lives in: one of 32, by its id alone (L1). */
function slotOf(request: string): string {
	const slot = request[2];
	if (!request.startsWith("r_") || slot === undefined)
		throw new Error(`a request id is expected to begin with r_, got ${JSON.stringify(request)}`);
	return slot;
}

export const LOG = "log.>";
export const PUSH_PREFIX = "push";
/** Where the log's entries come again as core messages, for whoever follows. */
export const PUSH = `${PUSH_PREFIX}.>`;

/** `log.<slot>.<audience>.<tenant>.<request>.<session>` */
export const entrySubject = ({ tenant, request, session }: Address, audience: Audience): string =>
	`log.${slotOf(request)}.${audience}.${checked(tenant, "tenant")}.${checked(request, "request")}.${checked(session, "session")}`;

/** Every entry of a request, whatever its audience and session: what the fence compares (L3). */
export const requestSubjects = (tenant: string, request: string): string =>
	`log.${slotOf(request)}.*.${checked(tenant, "tenant")}.${checked(request, "request")}.*`;

/** What an actor's consumer filters by. */
export const audienceSubjects = (audience: Audience): string => `log.*.${audience}.>`;

export const pushedRequest = (tenant: string, request: string): string =>
	`${PUSH_PREFIX}.${requestSubjects(tenant, request)}`;
export const pushedSession = (tenant: string, session: string): string =>
	`${PUSH_PREFIX}.log.*.*.${checked(tenant, "tenant")}.*.${checked(session, "session")}`;
/** Every request of a tenant: for operators. */
export const pushedTenant = (tenant: string): string => `${PUSH_PREFIX}.log.*.*.${checked(tenant, "tenant")}.>`;

export type EntryAddress = Address & { audience: Audience };

/** Reads the address out of a subject of the log. */
export function parseEntrySubject(subject: string): EntryAddress {
	const [, , audience, tenant, request, session] = subject.split(".");
	const known = audiences.find((name) => name === audience);
	if (!known || !tenant || !request || !session)
		throw new Error(`a subject of the log is expected, got ${JSON.stringify(subject)}`);
	return { audience: known, tenant, request, session };
}

export const TIMERS = "timers.>";
export const DUE_TIMERS = "timers.due.>";
export type TimerAddress = Address & { timer: string };

const timerTail = ({ tenant, request, session, timer }: TimerAddress): string =>
	`${slotOf(request)}.${checked(tenant, "tenant")}.${checked(request, "request")}.${checked(session, "session")}.${checked(timer, "timer")}`;
export const timerSubject = (address: TimerAddress): string => `timers.set.${timerTail(address)}`;
export const dueTimerSubject = (address: TimerAddress): string => `timers.due.${timerTail(address)}`;

export function parseDueTimer(subject: string): TimerAddress {
	const [, , , tenant, request, session, timer] = subject.split(".");
	if (!tenant || !request || !session || !timer)
		throw new Error(`a due timer's subject is expected, got ${JSON.stringify(subject)}`);
	return { tenant, request, session, timer };
}
