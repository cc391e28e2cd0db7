import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Where fetched and patched binaries are kept. */
export const cacheFolder = join(root, "node_modules/.cache/throughline");
export const configFolder = join(root, "infra/config");

/** The project's own documents: what the demo tenant asks about. */
export const ownDocuments = ["README.md", "gateway/PROTOCOL.md", "actors/orchestration/SPEC.md"].map((name) => ({
	name,
	path: join(root, name),
}));
