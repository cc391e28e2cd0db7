import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findFiles, loadFile } from "./ingest-files.ts";
import { bar, brokenTable, summaryLine } from "./ingest-report.ts";

async function folderOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "throughline-ingest-"));
	onTestFinished(() => rm(folder, { recursive: true }));
	for (const [name, content] of Object.entries(files)) {
		await mkdir(join(folder, dirname(name)), { recursive: true });
		await writeFile(join(folder, name), content);
	}
	return folder;
}

test("a folder's documents are its md and txt files, named by their path in it", async () => {
	const folder = await folderOf({
		"b.TXT": "b",
		"a/deep/one.md": "1",
		"picture.png": "p",
		".hidden/secret.md": "s",
		".notes.md": "n",
		"node_modules/package/readme.md": "r",
	});
	await symlink(folder, join(folder, "loop"));
	const { files, isFolder } = await findFiles(folder);
	expect(files.map(({ name }) => name)).toEqual(["a/deep/one.md", "b.TXT"]);
	expect(isFolder).toBe(true);
});

test("a file that cannot be a document says why", async () => {
	const folder = await folderOf({
		"latin.md": new Uint8Array([0x66, 0xfc, 0x72]),
		"blank.txt": " \n\t\n",
		"large.txt": new Uint8Array(4 * 1024 * 1024 + 1).fill(0x61),
		// Small enough as a file, too large once its line ends are escaped.
		"lines.txt": `${"\n".repeat(3 * 1024 * 1024)}end`,
	});
	const { files } = await findFiles(folder);
	const loaded = await Promise.all(files.map(loadFile));
	expect(Object.fromEntries(loaded.map((file) => [file.name, "reason" in file ? file.reason : "fine"]))).toEqual({
		"blank.txt": "empty",
		"large.txt": "too large: the server takes 4 MiB",
		"latin.md": "not valid UTF-8",
		"lines.txt": "too large: the server takes 4 MiB",
	});
});

test("a file that vanished is named, and the others go on", async () => {
	expect(await loadFile({ name: "gone.md", path: "/nowhere/gone.md" })).toMatchObject({
		name: "gone.md",
		reason: expect.stringContaining("cannot be read: ENOENT"),
	});
});

test("the report counts, names what is broken, and draws a bar as wide as the terminal", () => {
	const counts = { taken: 3, unchanged: 1, removed: 0, failed: 2, passages: 1 };
	expect(
		[
			summaryLine(counts, 1_240),
			brokenTable([
				{ name: "a.md", reason: "empty" },
				{ name: "long/name.txt", reason: "not valid UTF-8" },
			]),
			bar(1.5, 3, "a/very/long/name/that/does/not/fit.md", 50),
		].join(""),
	).toMatchInlineSnapshot(`
		"3 taken in, 1 unchanged, 2 failed · 1 passage · 1.2 s
		  a.md           empty
		  long/name.txt  not valid UTF-8
		[████████████░░░░░░░░░░░░] 1/3 a/very/long/name/…"
	`);
});
