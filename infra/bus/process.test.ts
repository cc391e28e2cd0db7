import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import { commandLine, lifeOf } from "./process.ts";

test("a process has the same life as long as it lives, and none afterwards", async () => {
	const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "marker one"], { stdio: "ignore" });
	const pid = child.pid ?? 0;
	const life = lifeOf(pid);
	expect(life).toBeDefined();
	expect(lifeOf(pid)).toBe(life);
	expect(await commandLine(pid)).toContain("marker one");
	child.kill("SIGKILL");
	await once(child, "exit");
	expect(lifeOf(pid)).toBeUndefined();
	expect(await commandLine(pid)).toBe("");
});

test.runIf(process.platform === "linux")("a process that ended and that nobody has collected is dead", async () => {
	// The shell becomes a program that does not know of the child that the shell had.
	const parent = spawn("sh", ["-c", "sleep 600 & echo $!; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
	onTestFinished(() => void parent.kill("SIGKILL"));
	const child = Number(String((await once(parent.stdout, "data"))[0]));
	await vi.waitFor(async () => expect(await commandLine(parent.pid ?? 0)).toMatch(/^cat/));
	process.kill(child, "SIGKILL");
	await vi.waitFor(() => expect(lifeOf(child)).toBeUndefined());
	expect(() => process.kill(child, 0)).not.toThrow();
});
