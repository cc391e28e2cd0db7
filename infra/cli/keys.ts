import { createKey, type KeyRecord, listKeys, revokeKey } from "../stores/keys.ts";
import { command, failure, MISUSE } from "./command.ts";
import { readTenant, withDocuments } from "./stores.ts";
import { clip, print, printError, table } from "./terminal.ts";

const tenant = { type: "string", value: "T", description: "tenant of the key (expected)" } as const;

/** A key of the wrong tenant is worse than a line more to type, so none is taken for granted. */
function named(given: string | undefined): string {
	if (given === undefined) throw failure("--tenant is expected: the tenant of the key", MISUSE);
	return readTenant(given);
}

/** Characters of an id that a list shows; as many are enough to revoke it. */
const SHOWN_ID = 12;

export const createKeyCommand = command({
	name: "keys create",
	summary: "Makes an API key and prints it, alone; nothing can print it again.",
	parameters: [],
	options: {
		tenant,
		principal: { type: "string", value: "P", description: "who uses it; owns sessions (default: one of its own)" },
		role: { type: "string", multiple: true, value: "R", description: "role of the principal; may be repeated" },
		label: { type: "string", value: "L", description: "words for the list" },
	},
	example: "keys create --tenant acme --principal web --role editor",
	async run({ tenant, principal, role, label }) {
		const what = {
			tenant: named(tenant),
			roles: role,
			now: Date.now(),
			...(principal !== undefined && { principal }),
			...(label !== undefined && { label }),
		};
		const key = await withDocuments((documents) => createKey(documents, what), { create: true });
		print(`${key}\n`);
		return 0;
	},
});

export const listKeysCommand = command({
	name: "keys list",
	summary: "Lists the keys of a tenant, revoked ones too. A list opens nothing.",
	parameters: [],
	options: { tenant },
	example: "keys list --tenant acme",
	async run({ tenant }) {
		const of = named(tenant);
		const keys = await withDocuments((documents) => listKeys(documents, of));
		if (keys.length === 0) printError(`${of} has no keys\n`);
		else print(keyTable(keys));
		return 0;
	},
});

/** One row per key, times in UTC. */
export function keyTable(keys: readonly KeyRecord[]): string {
	const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")}Z`;
	return table([
		["id", "principal", "roles", "created", "state", "label"],
		...keys.map(({ id, principal, roles, label, created_at, revoked_at }) => [
			id.slice(0, SHOWN_ID),
			principal,
			roles.join(",") || "-",
			time(created_at),
			revoked_at === null ? "valid" : `revoked ${time(revoked_at)}`,
			clip(label, 60),
		]),
	]);
}

export const revokeKeyCommand = command({
	name: "keys revoke",
	summary: "Ends a key for ever; what it has open closes within 5 seconds.",
	parameters: ["id"],
	options: { tenant },
	example: "keys revoke --tenant acme 3f9a1c20b7de",
	async run({ tenant }, [given = ""]) {
		const of = named(tenant);
		return withDocuments(async (documents) => {
			const found = (await listKeys(documents, of)).filter(({ id }) => id.startsWith(given));
			const [key] = found;
			if (!key) throw failure(`${of} has no key whose id begins with "${given}"; see keys list --tenant ${of}`);
			if (found.length > 1) throw failure(`${found.length} keys of ${of} begin with "${given}"; give more of the id`);
			await revokeKey(documents, { tenant: of, id: key.id, now: Date.now() });
			const before = key.revoked_at === null ? "" : " (it was before)";
			print(`revoked ${key.id.slice(0, SHOWN_ID)} of ${key.principal}${before}\n`);
			return 0;
		});
	},
});
