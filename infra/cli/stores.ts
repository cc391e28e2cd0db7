import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { readConfig } from "../../schemas/config.ts";
import { TOKEN } from "../../schemas/tokens.ts";
import type { Documents } from "../stores/documents.ts";
import { openSqliteDocuments } from "../stores/sqlite-documents.ts";
import { failure, MISUSE } from "./command.ts";

export const tenantOption = { type: "string", value: "T", description: "tenant (default demo)" } as const;
const STANDARD_TENANT = "demo";

/** The tenant that was named, or the standard one; refuses what cannot be one. */
export function readTenant(given: string | undefined): string {
	const tenant = given ?? STANDARD_TENANT;
	if (!TOKEN.test(tenant))
		throw failure(`--tenant is expected to be 1 to 64 of A-Z a-z 0-9 _ -, got "${tenant}"`, MISUSE);
	return tenant;
}

/** Runs with the documents of the data folder. A folder without any is made only where `create` says so: it may be mistyped. */
export async function withDocuments<T>(
	use: (documents: Documents) => Promise<T>,
	{ create = false }: { create?: boolean } = {},
): Promise<T> {
	const { data } = readConfig(process.env);
	const file = join(data, "documents.db");
	if (!create && !existsSync(file)) {
		throw failure(
			`The data folder of a server is expected at ${resolve(data)}, and no documents.db is there. Set THROUGHLINE_DATA to that of the server.`,
		);
	}
	const documents = openSqliteDocuments(file);
	try {
		return await use(documents);
	} finally {
		await documents.close();
	}
}
