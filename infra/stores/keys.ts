import { hash, randomBytes } from "node:crypto";
import { TOKEN } from "../../schemas/tokens.ts";
import type { Documents, Stored } from "./documents.ts";

/**
 * API keys, above Documents. A key is `tl_<tenant>_<secret>`, the secret being 32 random bytes as 43 characters of
 * base64url. The store holds the sha256 of the secret alone, as the id of a document in the tenant, so a stolen store
 * opens nothing and a look-up compares nothing that timing could tell. A plain hash is enough: 256 random bits cannot
 * be guessed, slowly or fast.
 */

/** A key as the store knows it. Times are ms since 1970. */
export type KeyRecord = {
	/** sha256 of the secret, in hex: names the key where it is listed or revoked, and opens nothing. */
	id: string;
	principal: string;
	roles: readonly string[];
	label: string;
	created_at: number;
	revoked_at: number | null;
};

/** What a well-formed key says before anybody has looked it up. */
export type KeyParts = { tenant: string; id: string };

/** The secret has a fixed length, so the tenant is what is left, with as many underscores as it likes. */
const KEY = /^tl_([A-Za-z0-9_-]{1,64})_([A-Za-z0-9_-]{43})$/;
const LONGEST_LABEL = 200;
const MOST_ROLES = 32;
const PAGE = 500;
/** Holds the list of tenants as its own documents. No key can be made for it, so no client can be it. */
const RESERVED_TENANT = "-";

/**
 * Makes a key and gives its text, which nothing can give again. Without a principal the key gets one of its own, `k_` and
 * 22 random characters; a key that takes another's place is created with the principal of that one (L4). `now` is in ms
 * since 1970. Throws when tenant, principal or a role is no token.
 */
export async function createKey(
	documents: Documents,
	what: { tenant: string; principal?: string; roles?: readonly string[]; label?: string; now: number },
): Promise<string> {
	const { tenant, principal = `k_${randomBytes(16).toString("base64url")}`, roles = [], label = "", now } = what;
	checkToken("the tenant", tenant);
	checkToken("the principal", principal);
	if (tenant === RESERVED_TENANT) throw new Error(`keys: the tenant "${tenant}" is reserved. Choose another name.`);
	if (roles.length > MOST_ROLES)
		throw new Error(`keys: at most ${MOST_ROLES} roles are expected, got ${roles.length}.`);
	for (const role of roles) checkToken("a role", role);
	if (label.length > LONGEST_LABEL) {
		throw new Error(`keys: the label is expected to have at most ${LONGEST_LABEL} characters, got ${label.length}.`);
	}
	const secret = randomBytes(32).toString("base64url");
	const record: Omit<KeyRecord, "id"> = {
		principal,
		roles: [...new Set(roles)],
		label,
		created_at: now,
		revoked_at: null,
	};
	// First the tenant, then the key: a crash in between leaves a tenant without keys, never a key of an unlisted tenant.
	await documents.commit(RESERVED_TENANT, [{ op: "insert", kind: "tenant", id: tenant, value: { created_at: now } }]);
	await documents.commit(tenant, [{ op: "insert", kind: "key", id: hashOf(secret), value: record }]);
	return `tl_${tenant}_${secret}`;
}

/** All keys of a tenant, revoked ones too, oldest first. */
export async function listKeys(documents: Documents, tenant: string): Promise<KeyRecord[]> {
	const keys: KeyRecord[] = [];
	for await (const { id, value } of all<Omit<KeyRecord, "id">>(documents, tenant, "key")) keys.push({ ...value, id });
	return keys.sort((a, b) => a.created_at - b.created_at);
}

/**
 * Ends a key for ever; `id` as `listKeys` gives it, `now` in ms since 1970. A key that was revoked before keeps its time.
 * Processes that have it in their cache let it in for as long as that cache holds (`keyCredentials`).
 */
export async function revokeKey(
	documents: Documents,
	{ tenant, id, now }: { tenant: string; id: string; now: number },
): Promise<"revoked" | "unknown"> {
	for (;;) {
		const found = await documents.get<Omit<KeyRecord, "id">>(tenant, "key", id);
		if (!found) return "unknown";
		if (found.value.revoked_at !== null) return "revoked";
		const value = { ...found.value, revoked_at: now };
		const change = { op: "replace", kind: "key", id, value, version: found.version } as const;
		// A refusal means that somebody else has changed the key, most likely revoked it: look again.
		if ((await documents.commit(tenant, [change])) === "done") return "revoked";
	}
}

/** Every tenant that a key was ever made for, in order of name, whether a key of it still opens or not. */
export async function listTenants(documents: Documents): Promise<string[]> {
	const tenants: string[] = [];
	for await (const { id } of all(documents, RESERVED_TENANT, "tenant")) tenants.push(id);
	return tenants;
}

/** The tenant that a key claims and the id to look it up by; nothing for what cannot be a key. Asks no store. */
export function parseKey(token: string): KeyParts | undefined {
	const [, tenant, secret] = KEY.exec(token) ?? [];
	if (tenant === undefined || secret === undefined || tenant === RESERVED_TENANT) return undefined;
	return { tenant, id: hashOf(secret) };
}

function hashOf(secret: string): string {
	return hash("sha256", secret, "hex");
}

function checkToken(what: string, text: string): void {
	if (TOKEN.test(text)) return;
	throw new Error(`keys: ${what} is expected to match ${TOKEN.source}, got ${JSON.stringify(text.slice(0, 80))}.`);
}

async function* all<T>(documents: Documents, tenant: string, kind: string): AsyncGenerator<Stored<T>> {
	for (let after = ""; ; ) {
		const page = await documents.list<T>(tenant, kind, { after, limit: PAGE });
		yield* page;
		const last = page.at(-1);
		if (!last || page.length < PAGE) return;
		after = last.id;
	}
}
