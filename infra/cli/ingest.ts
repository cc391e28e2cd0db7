import { z } from "zod";
import { command, failure } from "./command.ts";
import { type Broken, type Found, findFiles, loadFile } from "./ingest-files.ts";
import { brokenTable, type Counts, openProgress, type Progress, summaryLine } from "./ingest-report.ts";
import { type Taken, upload } from "./ingest-upload.ts";
import { call, findServer, refusalOf, type Server, serverOptions } from "./server.ts";
import { print, printError } from "./terminal.ts";

/** Uploads at once: embedding is what takes the time, and two actor processes do that. */
const UPLOADS = 3;

export const ingest = command({
	name: "ingest",
	summary: "Takes the md and txt files of a folder, or one file, in as documents.",
	details:
		"A document's name is its path in the folder. What the server has already with the same content is not sent again.\n" +
		"Dot folders and node_modules are passed over. The exit code is 1 if any file could not be taken in.",
	parameters: ["folder|file"],
	options: {
		"delete-missing": {
			type: "boolean",
			description: "remove every document of the tenant that no file of this folder is named like",
		},
		...serverOptions,
	},
	example: "ingest ./docs",
	async run({ "delete-missing": deleteMissing, url, token }, [root = "."]) {
		const begin = performance.now();
		const { files, isFolder } = await findFiles(root);
		if (files.length === 0) throw failure(`no md or txt file is in ${root}: nothing is done`);
		if (deleteMissing && !isFolder) throw failure(`--delete-missing is expected with a folder, got the file ${root}`);
		const server = await findServer({ url, token });
		const known = await listDocuments(server);
		const progress = openProgress(files.length);
		const { counts, broken } = await takeIn(
			server,
			files,
			new Map(known.map(({ name, sha256 }) => [name, sha256])),
			progress,
		);
		progress.end();
		if (deleteMissing) {
			const names = new Set(files.map(({ name }) => name));
			for (const document of known) {
				if (names.has(document.name)) continue;
				const problem = await remove(server, document);
				if (problem) broken.push(problem);
				else counts.removed++;
			}
		}
		print(summaryLine({ ...counts, failed: broken.length }, performance.now() - begin));
		if (broken.length > 0)
			printError(`not taken in:\n${brokenTable(broken.sort((a, b) => (a.name < b.name ? -1 : 1)))}`);
		return broken.length > 0 ? 1 : 0;
	},
});

async function takeIn(server: Server, files: readonly Found[], known: ReadonlyMap<string, string>, progress: Progress) {
	const counts: Omit<Counts, "failed"> = { taken: 0, unchanged: 0, removed: 0, passages: 0 };
	const broken: Broken[] = [];
	const waiting = files.values();

	async function one(file: Found): Promise<Taken> {
		const loaded = await loadFile(file);
		if ("reason" in loaded) return { outcome: "failed", reason: loaded.reason };
		if (known.get(loaded.name) === loaded.sha256) return { outcome: "unchanged", passages: 0 };
		return upload(server, loaded, (part) => progress.part(file.name, part));
	}
	async function work(): Promise<void> {
		// The iterator is shared: each worker takes the next file that nobody has taken.
		for (const file of waiting) {
			const taken = await one(file);
			if (taken.outcome === "failed") broken.push({ name: file.name, reason: taken.reason });
			else {
				counts[taken.outcome === "indexed" ? "taken" : "unchanged"]++;
				counts.passages += taken.passages;
			}
			progress.finished(file.name, taken);
		}
	}
	await Promise.all(Array.from({ length: UPLOADS }, work));
	return { counts, broken };
}

const page = z.object({
	documents: z.array(z.object({ document_id: z.string(), name: z.string(), sha256: z.string() })),
	next: z.string().nullable(),
});
type Document = z.infer<typeof page>["documents"][number];

/** Every document of the tenant. */
async function listDocuments(server: Server): Promise<Document[]> {
	const documents: Document[] = [];
	for (let after: string | null = ""; after !== null; ) {
		const query = new URLSearchParams({ limit: "200", ...(after !== "" && { after }) });
		const response = await call(server, "GET", `/v1/documents?${query}`);
		if (!response.ok) throw failure(`the documents cannot be listed: ${await refusalOf(response)}`);
		const read = page.parse(await response.json());
		documents.push(...read.documents);
		after = read.next;
	}
	return documents;
}

/** Removes a document; says why when it cannot be. */
async function remove(server: Server, { document_id, name }: Document): Promise<Broken | undefined> {
	const response = await call(server, "DELETE", `/v1/documents/${document_id}`);
	// 404: somebody else removed it meanwhile, which is what was wanted.
	if (!response.ok && response.status !== 404)
		return { name, reason: `cannot be removed: ${await refusalOf(response)}` };
	print(`removed    ${name}\n`);
	return undefined;
}
