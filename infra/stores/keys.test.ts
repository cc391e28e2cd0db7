import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Documents } from "./documents.ts";
import { keyCredentials } from "./key-credentials.ts";
import { createKey, listKeys, listTenants, parseKey, revokeKey } from "./keys.ts";
import { openSqliteDocuments } from "./sqlite-documents.ts";
import { newTenant } from "./testing/changes.ts";

const folder = mkdtempSync(join(tmpdir(), "keys-"));
let documents: Documents;
beforeAll(() => {
	documents = openSqliteDocuments(join(folder, "documents.db"));
});
afterAll(async () => {
	await documents.close();
	await rm(folder, { recursive: true });
});

/** A well-formed key that nobody has made; `at` tells one from another. */
const wrongKey = (tenant: string, at = 0) => `tl_${tenant}_${String(at).padStart(43, "A")}`;
const secretOf = (key: string) => key.slice(-43);

describe("making and ending keys", () => {
	test("a key opens its tenant, with the principal and roles that it was made with", async () => {
		const tenant = newTenant();
		const key = await createKey(documents, { tenant, principal: "ann", roles: ["developer", "agent"], now: 1 });
		expect(key).toMatch(new RegExp(`^tl_${tenant}_[A-Za-z0-9_-]{43}$`));
		expect(await identify(key)).toEqual({ tenant, principal: "ann", roles: ["developer", "agent"] });
	});

	test("a key without a principal gets one of its own", async () => {
		const tenant = newTenant();
		const [one, two] = [await createKey(documents, { tenant, now: 1 }), await createKey(documents, { tenant, now: 2 })];
		const [first, second] = [await identify(one), await identify(two)];
		expect(first?.principal).toMatch(/^k_[A-Za-z0-9_-]{22}$/);
		expect(second?.principal).toMatch(/^k_[A-Za-z0-9_-]{22}$/);
		expect(first?.principal).not.toBe(second?.principal);
	});

	test("[L4] a new key with the principal of an old one is the same principal", async () => {
		const tenant = newTenant();
		const old = await createKey(documents, { tenant, principal: "ann", now: 1 });
		const fresh = await createKey(documents, { tenant, principal: "ann", now: 2 });
		await revokeKey(documents, { tenant, id: idOf(old), now: 3 });
		expect(await identify(old)).toBeUndefined();
		expect(await identify(fresh)).toMatchObject({ principal: "ann" });
	});

	test.each(["a", "_", "__", "a_b", "_a_", "tl_x", "--", "T-1", "x".repeat(64), "_".repeat(64)])(
		"tenant %j is split from the secret without doubt",
		async (tenant) => {
			// Many keys, since a secret may begin or end with an underscore of its own.
			for (let made = 0; made < 40; made++) {
				const key = await createKey(documents, { tenant, principal: "p", now: made });
				expect(await identify(key)).toMatchObject({ tenant });
			}
		},
	);

	test("the store holds the sha256 of a secret, and neither the secret nor the key in any file", async () => {
		const tenant = newTenant();
		const key = await createKey(documents, { tenant, label: "planted label", now: 1 });
		const [record] = await listKeys(documents, tenant);
		expect(record?.id).toBe(createHash("sha256").update(secretOf(key)).digest("hex"));
		const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
		expect(files.some((bytes) => bytes.includes("planted label"))).toBe(true);
		expect(files.some((bytes) => bytes.includes(secretOf(key)))).toBe(false);
	});

	test("keys are listed oldest first, revoked ones with their time, those of other tenants not", async () => {
		const [tenant, other] = [newTenant(), newTenant()];
		const first = await createKey(documents, { tenant, principal: "a", label: "laptop", now: 10 });
		const last = await createKey(documents, { tenant, principal: "c", roles: ["r", "r"], now: 30 });
		const middle = await createKey(documents, { tenant, principal: "b", now: 20 });
		await createKey(documents, { tenant: other, now: 5 });
		expect(await revokeKey(documents, { tenant, id: idOf(middle), now: 40 })).toBe("revoked");
		const plain = { roles: [], label: "", revoked_at: null };
		expect(await listKeys(documents, tenant)).toEqual([
			{ ...plain, id: idOf(first), principal: "a", label: "laptop", created_at: 10 },
			{ ...plain, id: idOf(middle), principal: "b", created_at: 20, revoked_at: 40 },
			{ ...plain, id: idOf(last), principal: "c", roles: ["r"], created_at: 30 },
		]);
	});

	test("a second revocation keeps the time of the first, and an unknown or foreign key is unknown", async () => {
		const [tenant, other] = [newTenant(), newTenant()];
		const id = idOf(await createKey(documents, { tenant, now: 1 }));
		expect(await revokeKey(documents, { tenant: other, id, now: 2 })).toBe("unknown");
		const both = [2, 3].map((now) => revokeKey(documents, { tenant, id, now }));
		expect(await Promise.all(both)).toEqual(["revoked", "revoked"]);
		const [record] = await listKeys(documents, tenant);
		expect([2, 3]).toContain(record?.revoked_at);
		expect(await revokeKey(documents, { tenant, id, now: 9 })).toBe("revoked");
		expect(await listKeys(documents, tenant)).toEqual([record]);
	});

	test("a tenant is listed once from its first key on, also when all its keys are revoked", async () => {
		const tenant = newTenant();
		expect(await listTenants(documents)).not.toContain(tenant);
		const key = await createKey(documents, { tenant, now: 1 });
		await createKey(documents, { tenant, now: 2 });
		await revokeKey(documents, { tenant, id: idOf(key), now: 3 });
		const tenants = await listTenants(documents);
		expect(tenants.filter((one) => one === tenant)).toHaveLength(1);
		expect(tenants).toEqual(tenants.toSorted());
	});

	test("lists go beyond one page", async () => {
		const tenant = newTenant();
		for (let made = 0; made < 501; made++) await createKey(documents, { tenant, principal: "p", now: made });
		const times = (await listKeys(documents, tenant)).map(({ created_at }) => created_at);
		expect(times).toEqual(Array.from({ length: 501 }, (_, at) => at));
	});

	test("a tenant, principal, role or label that does not fit is refused with its name and makes nothing", async () => {
		const tenant = newTenant();
		for (const wrong of ["", "a b", "a.b", "ä", "x".repeat(65), "a\n"]) {
			await expect(createKey(documents, { tenant: wrong, now: 1 })).rejects.toThrow(/the tenant is expected to match/);
			await expect(createKey(documents, { tenant, principal: wrong, now: 1 })).rejects.toThrow(
				/the principal is expected/,
			);
			await expect(createKey(documents, { tenant, roles: ["ok", wrong], now: 1 })).rejects.toThrow(
				/a role is expected/,
			);
		}
		await expect(createKey(documents, { tenant: "-", now: 1 })).rejects.toThrow(/reserved/);
		await expect(createKey(documents, { tenant, label: "x".repeat(201), now: 1 })).rejects.toThrow(/label is expected/);
		await expect(createKey(documents, { tenant, roles: Array(33).fill("r"), now: 1 })).rejects.toThrow(
			/at most 32 roles/,
		);
		expect(await listKeys(documents, tenant)).toEqual([]);
		expect(await listTenants(documents)).not.toContain(tenant);
	});
});

describe("telling who a client is", () => {
	test("the secret of one tenant opens no other, whatever tenant the key names", async () => {
		const [ours, theirs] = [newTenant(), newTenant()];
		const key = await createKey(documents, { tenant: ours, now: 1 });
		await createKey(documents, { tenant: theirs, now: 1 });
		expect(await identify(`tl_${theirs}_${secretOf(key)}`)).toBeUndefined();
		expect(await identify(`tl_-_${secretOf(key)}`)).toBeUndefined();
	});

	test("a token that cannot be a key never reaches the store", async () => {
		const { counted, reads } = counting();
		const credentials = keyCredentials(counted);
		const key = wrongKey("t");
		const malformed = [
			"",
			"tl_",
			key.slice(0, -1),
			`${key}A=`,
			` ${key}`,
			`${key}\n`,
			key.replace("tl_", "TL_"),
			key.replace("tl_t", "tl_"),
			wrongKey("a.b"),
			wrongKey("x".repeat(65)),
			wrongKey("-"),
			`Bearer ${key}`,
			"A".repeat(1_000_000),
		];
		for (const token of malformed) expect(await credentials.identify(token)).toBeUndefined();
		expect(reads()).toBe(0);
		await credentials.identify(key);
		expect(reads()).toBe(1);
	});

	test("an answer is used for the time of the cache, counted from when the store was asked", async () => {
		const { counted, reads } = counting();
		let now = 0;
		const credentials = keyCredentials(counted, { cacheMs: 5_000, clock: () => now });
		const tenant = newTenant();
		const good = await createKey(documents, { tenant, principal: "ann", now: 1 });
		const bad = wrongKey(tenant);
		for (now = 0; now < 5_000; now += 500) {
			expect(await credentials.identify(good)).toMatchObject({ principal: "ann" });
			expect(await credentials.identify(bad)).toBeUndefined();
		}
		expect(reads()).toBe(2);
		await Promise.all([credentials.identify(good), credentials.identify(bad)]);
		expect(reads()).toBe(4);
	});

	test("a revoked key is let in no longer than the cache holds, and no cache holds over 5 s", async () => {
		const { counted, reads } = counting();
		let now = 0;
		const credentials = keyCredentials(counted, { cacheMs: 60_000, clock: () => now });
		const tenant = newTenant();
		const key = await createKey(documents, { tenant, now: 1 });
		expect(await credentials.identify(key)).toBeDefined();
		await revokeKey(documents, { tenant, id: idOf(key), now: 2 });
		now = 4_999;
		expect(await credentials.identify(key)).toBeDefined();
		now = 5_000;
		expect(await credentials.identify(key)).toBeUndefined();
		const asked = reads();
		for (let call = 0; call < 10; call++) expect(await credentials.identify(key)).toBeUndefined();
		expect(reads()).toBe(asked);
	});

	test("an answer that the store took long for is no younger for it", async () => {
		let now = 0;
		const slow: Documents = {
			...documents,
			async get<T>(tenant: string, kind: string, id: string) {
				const found = await documents.get<T>(tenant, kind, id);
				now += 3_000;
				return found;
			},
		};
		const credentials = keyCredentials(slow, { clock: () => now });
		const tenant = newTenant();
		const key = await createKey(documents, { tenant, now: 1 });
		await credentials.identify(key);
		await revokeKey(documents, { tenant, id: idOf(key), now: 2 });
		now = 5_000;
		expect(await credentials.identify(key)).toBeUndefined();
	});

	test("many calls for one key at the same moment ask the store once", async () => {
		const { counted, reads } = counting();
		const credentials = keyCredentials(counted);
		const key = await createKey(documents, { tenant: newTenant(), principal: "ann", now: 1 });
		const answers = await Promise.all(Array.from({ length: 100 }, () => credentials.identify(key)));
		expect(answers.every((answer) => answer?.principal === "ann")).toBe(true);
		expect(reads()).toBe(1);
	});

	test("a flood of wrong keys reaches the store a bounded number of times and shuts out no known key", async () => {
		const { counted, reads } = counting();
		let now = 0;
		const credentials = keyCredentials(counted, { clock: () => now });
		const tenant = newTenant();
		const known = await createKey(documents, { tenant, principal: "ann", now: 1 });
		const fresh = await createKey(documents, { tenant, principal: "bob", now: 1 });
		await credentials.identify(known);
		now = 4_000;
		let heldOff = 0;
		for (let at = 0; at < 12_000; at++) {
			await credentials.identify(wrongKey(tenant, at)).catch(() => heldOff++);
		}
		expect(reads()).toBeLessThanOrEqual(2_001);
		expect(heldOff).toBeGreaterThanOrEqual(10_000);
		now = 5_500;
		for (let at = 20_000; at < 22_000; at++) await credentials.identify(wrongKey(tenant, at)).catch(() => heldOff++);
		expect(await credentials.identify(known)).toMatchObject({ principal: "ann" });
		await expect(credentials.identify(fresh)).rejects.toThrow(/new to this process has to wait\. Try again in \d s/);
		now = 11_000;
		expect(await credentials.identify(fresh)).toMatchObject({ principal: "bob" });
	});

	test("a store that fails rejects and is asked again, and no verdict is kept", async () => {
		const key = await createKey(documents, { tenant: newTenant(), principal: "ann", now: 1 });
		let down = true;
		const failing: Documents = {
			...documents,
			get: async (...place) => {
				if (down) throw new Error("the store is away");
				return documents.get(...place);
			},
		};
		const credentials = keyCredentials(failing);
		await expect(credentials.identify(key)).rejects.toThrow("the store is away");
		down = false;
		expect(await credentials.identify(key)).toMatchObject({ principal: "ann" });
	});
});

/** What a process says that has never seen the key. */
function identify(key: string) {
	return keyCredentials(documents).identify(key);
}

function idOf(key: string): string {
	const parts = parseKey(key);
	if (!parts) throw new Error("expected a well-formed key");
	return parts.id;
}

/** The real store, with its reads counted. */
function counting(): { counted: Documents; reads: () => number } {
	let count = 0;
	const counted: Documents = {
		...documents,
		get: (...place) => {
			count++;
			return documents.get(...place);
		},
	};
	return { counted, reads: () => count };
}
