import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { patchElf } from "./elf-patch.ts";
import { loadUws, patchedCopy } from "./uws-binary.ts";

const packageFolder = dirname(createRequire(import.meta.url).resolve("uWebSockets.js"));
const x64 = join(packageFolder, "uws_linux_x64_137.node");
const arm64 = join(packageFolder, "uws_linux_arm64_137.node");
const runsX64Linux = process.platform === "linux" && process.arch === "x64" && process.versions.modules === "137";

const needsCopy = runsX64Linux && !loadsAsShipped();

function loadsAsShipped(): boolean {
	try {
		createRequire(import.meta.url)("uWebSockets.js");
		return true;
	} catch {
		return false;
	}
}

let cache: string;
beforeEach(async () => {
	cache = await mkdtemp(join(tmpdir(), "uws-binary-"));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

test("the library loads on this machine, with all that the package exports", async () => {
	const library = await loadUws(cache, () => {});
	expect(library.App).toBeTypeOf("function");
	expect(library).toHaveProperty("DeclarativeResponse");
	expect(await loadUws(cache, () => {})).toBe(library);
});

test.each([
	["x64", x64, "GLIBC_2.2.5", ["__isoc23_sscanf", "__isoc23_strtol", "__isoc23_strtoul"]],
	["arm64", arm64, "GLIBC_2.17", ["__isoc23_strtol", "__isoc23_strtoul"]],
])(
	"a patched %s binary has the same size, and the version that is too new is asked for no more",
	async (_, path, to, names) => {
		const original = await readFile(path);
		const patch = { prefix: "__isoc23_", from: "GLIBC_2.38", to };
		const { bytes, renamed } = patchElf(original, patch);
		expect(renamed).toEqual(names);
		expect(bytes.length).toBe(original.length);
		const changed = bytes.reduce((count, byte, at) => count + (byte === original[at] ? 0 : 1), 0);
		expect(changed).toBeGreaterThan(0);
		expect(changed).toBeLessThanOrEqual(4 * (names.length + 2));
		expect(() => patchElf(bytes, patch)).toThrow(/got 0 symbols/);
	},
);

test("what is not an ELF library is refused", () => {
	expect(() => patchElf(Buffer.alloc(100), { prefix: "a", from: "b", to: "c" })).toThrow(/ELF file, got 000000/);
});

test.runIf(runsX64Linux)("the copy is made once, said once, and made anew when it was damaged", async () => {
	const lines: string[] = [];
	const log = (line: string) => lines.push(line);
	const copy = await patchedCopy(x64, cache, log);
	expect(lines).toHaveLength(1);
	expect(lines[0]).toContain(copy);
	const made = await stat(copy);

	expect(await patchedCopy(x64, cache, log)).toBe(copy);
	expect((await stat(copy)).ino).toBe(made.ino);
	expect(lines).toHaveLength(1);

	await writeFile(copy, "cut short");
	expect(await patchedCopy(x64, cache, log)).toBe(copy);
	expect((await stat(copy)).size).toBe(made.size);
	expect(lines).toHaveLength(2);
	expect(await readdir(cache)).toHaveLength(1);
});

test.runIf(runsX64Linux)("processes that start at once all come up, and leave one copy", async () => {
	const script = `
		const { patchedCopy } = await import(${JSON.stringify(join(import.meta.dirname, "uws-binary.ts"))});
		const { createRequire } = await import("node:module");
		const copy = await patchedCopy(${JSON.stringify(x64)}, ${JSON.stringify(cache)}, () => {});
		process.stdout.write(typeof createRequire(copy)(copy).App);
	`;
	const start = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
	const started = await Promise.all([start(), start(), start()]);
	expect(started.map(({ stdout }) => stdout)).toEqual(["function", "function", "function"]);
	expect(await readdir(cache)).toHaveLength(1);
});

test("a binary that is not the recorded one is left alone", async () => {
	const other = join(cache, "uws_linux_x64_137.node");
	await writeFile(other, Buffer.concat([await readFile(x64), Buffer.from("x")]));
	await expect(patchedCopy(other, join(cache, "copies"), () => {})).rejects.toThrow(
		/expected to have sha256 98128405.*got/,
	);
	await expect(patchedCopy(join(cache, "uws_linux_x64_93.node"), cache, () => {})).rejects.toThrow(/expected one of/);
});

test.runIf(needsCopy)("a cache folder behind a link serves as well", async () => {
	const link = `${cache}-link`;
	await symlink(cache, link);
	onTestFinished(() => rm(link));
	const script = `
		const { loadUws } = await import(${JSON.stringify(join(import.meta.dirname, "uws-binary.ts"))});
		const library = await loadUws(${JSON.stringify(link)}, () => {});
		process.stdout.write(Object.keys(library).filter((key) => /^(App|DeclarativeResponse)$/.test(key)).join());
	`;
	const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
	expect(stdout).toBe("App,DeclarativeResponse");
});

test.runIf(needsCopy)("where nothing loads, the message says what is expected, what is here and why", async () => {
	const file = join(cache, "file");
	await writeFile(file, "");
	// In a process of its own: in this one the library is loaded already.
	const script = `
		const { loadUws } = await import(${JSON.stringify(join(import.meta.dirname, "uws-binary.ts"))});
		await loadUws(${JSON.stringify(join(file, "copies"))}, () => {}).catch((error) => process.stdout.write(error.message));
	`;
	const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
	expect(stdout).toMatch(/Expected: Node 24 on Linux .* glibc 2\.36 or newer/);
	expect(stdout).toContain(`Here: Node ${process.versions.node}, linux x64, glibc 2.`);
	expect(stdout).toMatch(/The reason: ENOTDIR/);
});
