import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import type { UwsModule } from "../../gateway/uws.ts";
import { type ElfPatch, patchElf } from "./elf-patch.ts";

/**
 * The binaries (uWebSockets.js 20.57.0, Node 24) that ask for glibc 2.38 because of a few C23 names alone. `to` is the
 * first glibc version of the architecture: there the same functions stand under their old names.
 */
const patchable: Record<string, { sha256: string; patch: ElfPatch }> = {
	"uws_linux_x64_137.node": {
		sha256: "98128405dba2fb608448e921a979530f70c946a2cc9889c15f2fa70c2d00ab05",
		patch: { prefix: "__isoc23_", from: "GLIBC_2.38", to: "GLIBC_2.2.5" },
	},
	"uws_linux_arm64_137.node": {
		sha256: "88618b30ddf6b2b62310db89f40a701616676352aac5e0f6184dd8ef876199ce",
		patch: { prefix: "__isoc23_", from: "GLIBC_2.38", to: "GLIBC_2.17" },
	},
};

const require = createRequire(import.meta.url);

/**
 * Loads uWebSockets.js. Where the system's glibc is too old for the package's binary, loads a patched copy from
 * `cacheFolder`, made once and then reused; several processes may do so at the same time. `log` gets one line when a
 * copy is made. Rejects with what was expected, what is here and what to do when nothing loads.
 */
export async function loadUws(cacheFolder: string, log: (line: string) => void): Promise<UwsModule> {
	let refusal: string;
	try {
		return requireUws();
	} catch (error) {
		refusal = messageOf(error);
	}
	// The loader's own words decide, not a comparison of versions: whoever puts another build in place is not in our way.
	if (!/GLIBC_2\.\d+/.test(refusal)) throw new Error(helpText(refusal));
	try {
		const original = originalPath();
		const copy = await patchedCopy(original, cacheFolder, log);
		// The package's own JavaScript finds the copy already loaded under the original's name and adds the rest.
		require(copy);
		require.cache[original] = require.cache[require.resolve(copy)];
		return requireUws();
	} catch (error) {
		throw new Error(helpText(messageOf(error)), { cause: error });
	}
}

/** Where a copy of `original` that this system can load lies; makes, tries and then publishes it if it is not there. */
export async function patchedCopy(original: string, cacheFolder: string, log: (line: string) => void): Promise<string> {
	const name = basename(original);
	const known = patchable[name];
	if (known === undefined) {
		throw new Error(`expected one of ${Object.keys(patchable).join(", ")} to patch, got ${name}`);
	}
	const bytes = await readFile(original);
	const sha256 = createHash("sha256").update(bytes).digest("hex");
	if (sha256 !== known.sha256) {
		throw new Error(`${original} is expected to have sha256 ${known.sha256}, got ${sha256}; it is not patched`);
	}
	const patched = patchElf(bytes, known.patch);
	const folder = resolve(cacheFolder);
	const target = join(folder, `${basename(name, ".node")}-${sha256.slice(0, 12)}.node`);
	// Compared as a whole: a copy that was cut short or changed is made anew rather than mapped into the process.
	const cached = await readFile(target).catch(() => undefined);
	if (cached?.equals(patched.bytes)) return target;

	await mkdir(folder, { recursive: true });
	const attempt = join(folder, `.${randomUUID()}.node`);
	try {
		await writeFile(attempt, patched.bytes, { mode: 0o755 });
		await tryInChild(attempt);
		await rename(attempt, target);
	} finally {
		await rm(attempt, { force: true });
	}
	log(
		`uWebSockets.js: glibc ${glibcVersion()} is older than its binary asks for (${known.patch.from.slice(6)}); ` +
			`made and tried a copy without ${patched.renamed.join(", ")}: ${target}`,
	);
	return target;
}

/** A library that does not fit may take its process down, so the first to load it is a child. */
async function tryInChild(path: string): Promise<void> {
	const script = 'if (typeof require(process.argv[1]).App !== "function") throw new Error("no App in it")';
	try {
		await promisify(execFile)(process.execPath, ["-e", script, path], {
			// Bound lazily, a missing function would show only when it is first called, with clients connected.
			env: { ...process.env, LD_BIND_NOW: "1" },
			timeout: 30_000,
		});
	} catch (error) {
		throw new Error(`the patched copy does not load either: ${messageOf(error)}`);
	}
}

function requireUws(): UwsModule {
	return require("uWebSockets.js") as UwsModule;
}

function originalPath(): string {
	const { platform, arch, versions } = process;
	return join(dirname(require.resolve("uWebSockets.js")), `uws_${platform}_${arch}_${versions.modules}.node`);
}

function glibcVersion(): string | undefined {
	const report: unknown = process.report.getReport();
	const header = (report as { header?: { glibcVersionRuntime?: string } }).header;
	return header?.glibcVersionRuntime;
}

function helpText(reason: string): string {
	return (
		"uWebSockets.js 20.57 does not load. Expected: Node 24 on Linux (x64, arm64) with glibc 2.36 or newer, on macOS " +
		`or on Windows x64. Here: Node ${process.versions.node}, ${process.platform} ${process.arch}, ` +
		`glibc ${glibcVersion() ?? "none"}. Run it on such a system (the image node:24-bookworm is one), ` +
		"or name a build for this one under dependencies in package.json. " +
		`The reason: ${reason.trim()}`
	);
}

function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
