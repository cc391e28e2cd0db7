import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../schemas/config.ts";
import { ownDocuments } from "./paths.ts";
import { createKey, listKeys } from "./stores/keys.ts";
import { openSqliteDocuments } from "./stores/sqlite-documents.ts";

const TENANT = "demo";
export const keyFile = (data: string): string => join(data, "demo.key");

/** Says that the server is there; at the first start with a demo tenant that has the project's own documents, and how to use it. */
export async function welcome(config: Config, port: number, took: number): Promise<void> {
	const url = `http://${config.host}:${port}`;
	const print = (text: string) => process.stdout.write(text);
	const key = config.demo === "on" ? await demoKey(config) : undefined;
	if (key) await takeInOwnDocuments(url, key);
	print(`\nThroughline is ready at ${url} (after ${(took / 1000).toFixed(1)} s)\n`);
	if (!key) return;
	const port_ = port === 8787 ? "" : `THROUGHLINE_PORT=${port} `;
	print(`
  A demo tenant was made; its documents are this project's own. Its key, shown once and kept in ${keyFile(config.data)}:

    ${key}

  Ask by HTTP:
    curl -N ${url}/v1/requests -H 'Authorization: Bearer ${key}' \\
      -H 'Accept: text/event-stream' -H 'Content-Type: application/json' \\
      -d '{"input":"What does a client do when its connection breaks in the middle of an answer?"}'

  Or talk:
    ${port_}npm run -s cli -- chat

  A question worth asking: What happens when the same idempotency key is sent twice?

`);
}

/** A key for the demo tenant, when it has none yet. */
async function demoKey({ data }: Config): Promise<string | undefined> {
	const documents = openSqliteDocuments(join(data, "documents.db"));
	try {
		if ((await listKeys(documents, TENANT)).length > 0) return undefined;
		const key = await createKey(documents, {
			tenant: TENANT,
			principal: "demo",
			label: "made at the first start",
			now: Date.now(),
		});
		await writeFile(keyFile(data), `${key}\n`, { mode: 0o600 });
		return key;
	} finally {
		await documents.close();
	}
}

/** As any client would: by HTTP, with an idempotency key of name and content. */
async function takeInOwnDocuments(url: string, key: string): Promise<void> {
	await Promise.all(
		ownDocuments.map(async ({ name, path }) => {
			const text = await readFile(path, "utf8");
			const idempotency = createHash("sha256").update(`${name}\0${text}`).digest("hex");
			const response = await fetch(`${url}/v1/documents`, {
				method: "POST",
				headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "idempotency-key": idempotency },
				body: JSON.stringify({ name, media_type: "text/markdown", text }),
			});
			if (!response.ok) throw new Error(`${name} could not be taken in: ${response.status} ${await response.text()}`);
			await response.text();
		}),
	);
}
