import type { Documents } from "./documents.ts";

/** Writes a document whatever stands there; the last writer wins. */
export async function put(
	documents: Documents,
	tenant: string,
	kind: string,
	id: string,
	value: unknown,
): Promise<void> {
	for (;;) {
		const stored = await documents.get(tenant, kind, id);
		const change = stored
			? ({ op: "replace", kind, id, value, version: stored.version } as const)
			: ({ op: "insert", kind, id, value } as const);
		if ((await documents.commit(tenant, [change])) === "done") return;
	}
}
