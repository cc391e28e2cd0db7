import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { lockDataFolder } from "./folder-lock.ts";

let dataFolder: string;

beforeEach(async () => {
	dataFolder = await mkdtemp(join(tmpdir(), "throughline-lock-"));
	return () => rm(dataFolder, { recursive: true, force: true });
});

async function otherHolder() {
	const source = JSON.stringify(new URL("./folder-lock.ts", import.meta.url).href);
	const code = `import { lockDataFolder } from ${source};
		globalThis.lock = lockDataFolder(${JSON.stringify(dataFolder)});
		console.log("locked");
		setInterval(() => {}, 1000);`;
	const other = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
	onTestFinished(() => void other.kill("SIGKILL"));
	await once(other.stdout, "data");
	return other;
}

test("a second start on a data folder is refused and told which process has which folder", async () => {
	const other = await otherHolder();
	expect(() => lockDataFolder(dataFolder)).toThrow(`${dataFolder} is in use by process ${other.pid}.`);
	expect(() => lockDataFolder(dataFolder)).toThrow(/THROUGHLINE_DATA/);
});

test("the lock of a killed holder is free at once", async () => {
	const other = await otherHolder();
	other.kill("SIGKILL");
	await once(other, "exit");
	using lock = lockDataFolder(dataFolder);
	expect(lock).toBeDefined();
});

test("a process that the holder started does not keep the lock", async () => {
	const lock = lockDataFolder(dataFolder);
	const child = spawn(process.execPath, ["-e", "console.log(1); setInterval(() => {}, 1000)"], {
		stdio: ["ignore", "pipe", "ignore"],
	});
	onTestFinished(() => void child.kill("SIGKILL"));
	await once(child.stdout, "data");
	lock[Symbol.dispose]();
	const other = await otherHolder();
	expect(() => lockDataFolder(dataFolder)).toThrow(`process ${other.pid}`);
});

test("a disposed lock can be taken again, a held one not even by its own process", () => {
	{
		using lock = lockDataFolder(dataFolder);
		expect(lock).toBeDefined();
		expect(() => lockDataFolder(dataFolder)).toThrow(`process ${process.pid}`);
	}
	using again = lockDataFolder(dataFolder);
	expect(again).toBeDefined();
});

test("two data folders have locks of their own", () => {
	using one = lockDataFolder(join(dataFolder, "one"));
	using other = lockDataFolder(join(dataFolder, "other"));
	expect([one, other]).toHaveLength(2);
});
