import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CONTRACT_DIMENSIONS, documentOf, searchContract } from "./search.contract.ts";
import { openSearchFile } from "./search-file.ts";
import { openSqliteSearch } from "./sqlite-search.ts";

searchContract("SQLite", async () => {
	const folder = await mkdtemp(join(tmpdir(), "search-"));
	const search = openSqliteSearch({ folder, dimensions: CONTRACT_DIMENSIONS });
	return {
		search,
		async close() {
			await search.close();
			await rm(folder, { recursive: true });
		},
	};
});

let folder: string;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "search-"));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (options: { dimensions?: number; maxOpenFiles?: number } = {}) =>
	openSqliteSearch({ folder, dimensions: CONTRACT_DIMENSIONS, ...options });
const everything = { text: "word", labels: [], limit: 1_000 };

test("nothing is made before the first document; asking about a tenant leaves no trace", async () => {
	const search = open();
	await search.lexical("nobody", everything);
	await search.delete("nobody", "d");
	expect(await readdir(folder)).toEqual([]);
	await search.index("acme", documentOf("d", [{ text: "word" }]));
	expect(await readdir(folder)).toContain("acme.db");
	await search.close();
});

test("what was indexed is there after closing, and the closed file stands alone", async () => {
	const first = open();
	await first.index("acme", documentOf("d", [{ text: "word" }], ["x"]));
	await first.close();
	expect(await readdir(folder)).toEqual(["acme.db"]);
	const second = open();
	expect(await second.lexical("acme", everything)).toEqual([]);
	expect(await second.lexical("acme", { ...everything, labels: ["x"] })).toHaveLength(1);
	await second.close();
});

test("more tenants than open files: the oldest is closed and opened again", async () => {
	const search = open({ maxOpenFiles: 2 });
	const tenants = ["a", "b", "c", "d", "e"];
	for (const tenant of tenants) await search.index(tenant, documentOf(tenant, [{ text: `word of ${tenant}` }]));
	for (const tenant of [...tenants, ...tenants.toReversed()]) {
		expect(await search.lexical(tenant, everything)).toMatchObject([{ text: `word of ${tenant}` }]);
	}
	await search.close();
});

test("a word's weight in one tenant is not changed by another's documents", async () => {
	const search = open();
	await search.index("acme", documentOf("d", [{ text: "word here" }, { text: "nothing here" }]));
	const before = await search.lexical("acme", everything);
	const flood = Array.from({ length: 50 }, () => ({ text: "word here" }));
	await search.index("globex", documentOf("flood", flood));
	expect(await search.lexical("acme", everything)).toEqual(before);
	await search.close();
});

test("files of another version, other dimensions or no database are refused with a way out", async () => {
	const search = open();
	await search.index("acme", documentOf("d", [{ text: "word" }]));
	await search.close();
	const other = open({ dimensions: 8 });
	await expect(other.lexical("acme", everything)).rejects.toThrow(
		/holds vectors of 4 dimensions, the embeddings have 8.*ingest/,
	);
	await other.close();

	const file = openSearchFile(join(folder, "acme.db"), CONTRACT_DIMENSIONS, false);
	file?.exec("PRAGMA user_version = 99");
	file?.close();
	await writeFile(
		join(folder, "junk.db"),
		"this is no database, but long enough to be read as one by mistake".repeat(20),
	);
	const again = open();
	await expect(again.lexical("acme", everything)).rejects.toThrow(/version 99, expected 1/);
	await expect(again.lexical("junk", everything)).rejects.toThrow(/not a database/);
	await again.index("fine", documentOf("d", [{ text: "word" }]));
	expect(await again.lexical("fine", everything)).toHaveLength(1);
	await again.close();
});

test("SQL can load no library once the file is open", () => {
	const file = openSearchFile(join(folder, "acme.db"), CONTRACT_DIMENSIONS, true);
	expect(() => file?.prepare("SELECT load_extension('anything')").get()).toThrow(/not authorized/);
	expect(() => file?.enableLoadExtension(false)).not.toThrow();
	file?.close();
});

test("[L7] the event loop goes on while a large document is written and searched", async () => {
	const search = open();
	let turns = 0;
	let writing = true;
	const turn = () => {
		turns += 1;
		if (writing) setImmediate(turn);
	};
	setImmediate(turn);
	await search.index(
		"acme",
		documentOf(
			"d",
			Array.from({ length: 2_000 }, (_, at) => ({ text: `word number ${at}`, vector: [1, at, 0, 0] })),
		),
	);
	writing = false;
	expect(turns).toBeGreaterThan(20);
	expect(await search.lexical("acme", everything)).toHaveLength(1_000);
	await search.close();
});

test("calls under way are answered before closing ends, later ones are refused", async () => {
	const search = open();
	const written = search.index("acme", documentOf("d", [{ text: "word" }]));
	const closed = search.close();
	await written;
	await closed;
	await search.close();
	await expect(search.lexical("acme", everything)).rejects.toThrow(/closed/);
	const again = open();
	expect(await again.lexical("acme", everything)).toHaveLength(1);
	await again.close();
});

test("several processes make and write the same new file at once; nothing is lost", async () => {
	const source = `
		import { openSqliteSearch } from ${JSON.stringify(new URL("./sqlite-search.ts", import.meta.url).href)};
		const [folder, name] = process.argv.slice(2);
		const search = openSqliteSearch({ folder, dimensions: ${CONTRACT_DIMENSIONS} });
		for (let at = 0; at < 10; at += 1) {
			const document_id = name + at;
			const chunks = [{ chunk_id: document_id + "#0", text: "word", tokens: 1, vector: [1, 0, 0, 0] }];
			await search.index("acme", { document_id, title: document_id, labels: [], chunks });
			await search.index("acme", { document_id: "shared", title: name, labels: [], chunks: [{ ...chunks[0], chunk_id: "shared#0", text: "common" }] });
		}
		await search.close();`;
	const script = join(folder, "writer.mjs");
	await writeFile(script, source);
	const writers = ["p", "q", "r"].map((name) => fork(script, [folder, name], { execArgv: [] }));
	expect(await Promise.all(writers.map(async (writer) => (await once(writer, "exit"))[0]))).toEqual([0, 0, 0]);
	const search = open();
	expect(await search.lexical("acme", everything)).toHaveLength(30);
	expect(await search.lexical("acme", { ...everything, text: "common" })).toHaveLength(1);
	expect(await search.vector("acme", { vector: [1, 0, 0, 0], labels: [], limit: 100 })).toHaveLength(31);
	await search.close();
});
