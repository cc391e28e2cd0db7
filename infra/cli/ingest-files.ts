import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { MAX_DOCUMENT_BYTES } from "../../gateway/doors/documents.ts";
import { failure } from "./command.ts";
import { reasonOf } from "./server.ts";

export type Found = {
	/** Relative to the folder, with `/` between its parts: the document's name. */
	name: string;
	path: string;
};
export type Loaded = Found & {
	sha256: string;
	/** What is sent. */
	body: string;
};
export type Broken = { name: string; reason: string };

const mediaTypes: Readonly<Record<string, string>> = { ".md": "text/markdown", ".txt": "text/plain" };

const typeOf = (name: string): string | undefined => mediaTypes[extname(name).toLowerCase()];

/** The md and txt files of a folder and those below it, in order of name; dot folders and node_modules are passed over. */
export async function findFiles(root: string): Promise<{ files: Found[]; isFolder: boolean }> {
	const what = await stat(root).catch((problem: unknown) => {
		throw failure(`a folder or a file is expected at ${root}: ${reasonOf(problem)}`);
	});
	if (what.isDirectory()) return { files: await walk(root, ""), isFolder: true };
	if (!typeOf(root)) throw failure(`a file that ends with .md or .txt is expected, got ${root}`);
	return { files: [{ name: basename(root), path: root }], isFolder: false };
}

async function walk(root: string, folder: string): Promise<Found[]> {
	const entries = await readdir(join(root, folder), { withFileTypes: true });
	const found: Found[] = [];
	for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
		if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
		const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
		if (entry.isDirectory()) found.push(...(await walk(root, name)));
		else if (entry.isFile() && typeOf(name)) found.push({ name, path: join(root, name) });
	}
	return found;
}

/** Reads a file as the server wants it, or says why it cannot be a document. */
export async function loadFile({ name, path }: Found): Promise<Loaded | Broken> {
	const tooLarge = { name, reason: `too large: the server takes ${MAX_DOCUMENT_BYTES / 1024 / 1024} MiB` };
	try {
		if ((await stat(path)).size > MAX_DOCUMENT_BYTES) return tooLarge;
		const text = decodeUtf8(await readFile(path));
		if (text === undefined) return { name, reason: "not valid UTF-8" };
		if (text.trim() === "") return { name, reason: "empty" };
		const body = JSON.stringify({ name, media_type: typeOf(name), text });
		// Escapes make it longer than the file.
		if (Buffer.byteLength(body) > MAX_DOCUMENT_BYTES) return tooLarge;
		return { name, path, body, sha256: createHash("sha256").update(text).digest("hex") };
	} catch (problem) {
		return { name, reason: `cannot be read: ${reasonOf(problem)}` };
	}
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
	} catch {
		return undefined;
	}
}
