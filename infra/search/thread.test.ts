import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openThread } from "./thread.ts";

type Calls = {
	echo(text: string): string;
	threadId(ask: undefined): number;
	given(ask: undefined): unknown;
	fail(message: string): never;
	die(ask: undefined): never;
	floats(count: number): Float32Array;
};

let folder: string;
let file: URL;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "thread-"));
	file = pathToFileURL(join(folder, "worker.mjs"));
	await writeFile(
		file,
		`import { threadId, workerData } from "node:worker_threads";
		import { writeFileSync } from "node:fs";
		import { serveThread } from ${JSON.stringify(new URL("./thread.ts", import.meta.url).href)};
		serveThread({
			echo: (text) => text,
			threadId: () => threadId,
			given: () => workerData,
			fail: (message) => { throw new Error(message); },
			die: () => process.exit(3),
			floats: async (count) => new Float32Array(count).fill(1),
		}, () => writeFileSync(${JSON.stringify(join(folder, "cleaned"))}, "yes"));`,
	);
});
afterEach(() => rm(folder, { recursive: true }));

test("answers in order, with the data it was opened with", async () => {
	const thread = openThread<Calls>(file, { setting: 1 });
	expect(await Promise.all(["a", "b", "c"].map((text) => thread.call("echo", text)))).toEqual(["a", "b", "c"]);
	expect(await thread.call("given", undefined)).toEqual({ setting: 1 });
	expect(await thread.call("floats", 3)).toEqual(Float32Array.of(1, 1, 1));
	await thread.close();
});

test("a thrown error rejects its own call, the thread goes on", async () => {
	const thread = openThread<Calls>(file, undefined);
	const before = await thread.call("threadId", undefined);
	await expect(thread.call("fail", "expected a harbour")).rejects.toThrow("expected a harbour");
	expect(await thread.call("threadId", undefined)).toBe(before);
	await thread.close();
});

test("a thread that dies fails what it held; the next call starts another", async () => {
	const thread = openThread<Calls>(file, undefined);
	const before = await thread.call("threadId", undefined);
	const held = [thread.call("die", undefined), thread.call("echo", "lost")];
	for (const call of held) await expect(call).rejects.toThrow(/worker\.mjs stopped/);
	expect(await thread.call("threadId", undefined)).not.toBe(before);
	await thread.close();
});

test("an argument that cannot be cloned rejects, the thread goes on", async () => {
	const thread = openThread<{ echo(ask: unknown): unknown }>(file, undefined);
	await expect(thread.call("echo", () => undefined)).rejects.toThrow(/could not be cloned/);
	expect(await thread.call("echo", "fine")).toBe("fine");
	await thread.close();
});

test("closing cleans up once; a thread that was never used is never started", async () => {
	const unused = openThread<Calls>(file, undefined);
	await unused.close();
	expect(existsSync(join(folder, "cleaned"))).toBe(false);
	const used = openThread<Calls>(file, undefined);
	await used.call("echo", "a");
	await Promise.all([used.close(), used.close()]);
	expect(existsSync(join(folder, "cleaned"))).toBe(true);
	await expect(used.call("echo", "late")).rejects.toThrow(/closed; open another/);
});
