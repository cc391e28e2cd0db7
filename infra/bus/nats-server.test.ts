import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { cacheFolder } from "../paths.ts";
import { silent } from "../testing/nats.ts";
import { findNatsServer } from "./nats-binary.ts";
import { ensureNatsServer, type NatsServer } from "./nats-server.ts";
import { lifeOf } from "./process.ts";

let binary: string;
let dataFolder: string;

beforeAll(async () => {
	binary = (await findNatsServer({ cacheFolder, log: silent })).path;
});

beforeEach(async () => {
	dataFolder = await temporaryFolder();
	return () => rm(dataFolder, { recursive: true, force: true });
});

function temporaryFolder(): Promise<string> {
	return mkdtemp(join(tmpdir(), "throughline-server-"));
}

async function ensure(folder = dataFolder, patience = 20_000): Promise<NatsServer> {
	const server = await ensureNatsServer({ dataFolder: folder, binary, log: silent, patience });
	onTestFinished(() => server.stop());
	return server;
}

/** A supervisor that starts the server of this data folder and is killed, with its whole process group, before it can stop it. */
async function startByKilledSupervisor(): Promise<number> {
	const source = JSON.stringify(new URL("./nats-server.ts", import.meta.url).href);
	const options = JSON.stringify({ dataFolder, binary });
	const code = `import { ensureNatsServer } from ${source};
		const server = await ensureNatsServer({ ...${options}, log: { info() {}, warn() {} } });
		console.log(server.pid);`;
	const supervisor = spawn(process.execPath, ["--input-type=module", "-e", code], {
		stdio: ["ignore", "pipe", "inherit"],
		detached: true,
	});
	if (supervisor.pid === undefined) throw new Error(`expected ${process.execPath} to run`);
	const [line] = await once(supervisor.stdout, "data");
	const pid = Number(String(line));
	const life = lifeOf(pid);
	onTestFinished(() => void (life !== undefined && lifeOf(pid) === life && process.kill(pid, "SIGKILL")));
	process.kill(-supervisor.pid, "SIGKILL");
	await once(supervisor, "exit");
	return pid;
}

async function store(server: NatsServer, text: string): Promise<void> {
	await using connection = await open(server);
	const manager = await jetstreamManager(connection.to);
	await manager.streams.add({ name: "KEPT", subjects: ["kept"] });
	await jetstream(connection.to).publish("kept", text);
}

async function stored(server: NatsServer): Promise<string | undefined> {
	await using connection = await open(server);
	const manager = await jetstreamManager(connection.to);
	return (await manager.streams.getMessage("KEPT", { last_by_subj: "kept" }))?.string();
}

async function open({ url, token }: { url: string; token: string }) {
	const to = await connect({ servers: url, token, reconnect: false });
	return { to, [Symbol.asyncDispose]: () => to.close() };
}

function portOf({ url }: NatsServer): number {
	return Number(new URL(url).port);
}

test("starts on loopback with JetStream, lets nobody in without the token and keeps the token private", async () => {
	const server = await ensure();
	expect(server).toMatchObject({ adopted: false, url: expect.stringMatching(/^nats:\/\/127\.0\.0\.1:\d+$/) });
	await store(server, "first");
	await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(/authorization/i);
	await expect(connect({ servers: server.url, token: "guessed", reconnect: false })).rejects.toThrow(/authorization/i);
	const files = ["nats.conf", "identity.json"].map((file) => join(dataFolder, "nats", file));
	for (const file of files) expect((await stat(file)).mode & 0o077).toBe(0);
	expect((await stat(join(dataFolder, "nats", "jetstream"))).isDirectory()).toBe(true);
});

test("stop ends the process and the next start has the same URL, token and store", async () => {
	const first = await ensure();
	await store(first, "kept over a stop");
	await first.stop();
	expect(lifeOf(first.pid)).toBeUndefined();
	const second = await ensure();
	expect(second).toMatchObject({ url: first.url, token: first.token, adopted: false });
	expect(second.pid).not.toBe(first.pid);
	expect(await stored(second)).toBe("kept over a stop");
});

test("a killed server reports its end and comes back at the same URL with what was stored", async () => {
	const first = await ensure();
	await store(first, "kept over a kill");
	process.kill(first.pid, "SIGKILL");
	await first.exited;
	const second = await ensure();
	expect(second).toMatchObject({ url: first.url, token: first.token, adopted: false });
	expect(await stored(second)).toBe("kept over a kill");
});

test("a server that outlived its killed supervisor is adopted, reports its end and is stopped like any other", async () => {
	const pid = await startByKilledSupervisor();
	const adopted = await ensure();
	expect(adopted).toMatchObject({ pid, adopted: true });
	await store(adopted, "from before");
	await adopted.stop();
	await adopted.exited;
	expect(lifeOf(pid)).toBeUndefined();
	expect(await stored(await ensure())).toBe("from before");
});

test("the death of an adopted server is noticed", async () => {
	const pid = await startByKilledSupervisor();
	const adopted = await ensure();
	expect(adopted.adopted).toBe(true);
	process.kill(pid, "SIGKILL");
	await adopted.exited;
	expect((await ensure()).url).toBe(adopted.url);
});

test("a left-over server that does not answer is ended and replaced", async () => {
	const pid = await startByKilledSupervisor();
	process.kill(pid, "SIGSTOP");
	const server = await ensure(dataFolder, 2_000);
	expect(server.adopted).toBe(false);
	expect(lifeOf(pid)).toBeUndefined();
});

test("a left-over server whose token is lost is ended, not joined by a second one on its store", async () => {
	const pid = await startByKilledSupervisor();
	await rm(join(dataFolder, "nats", "identity.json"));
	const server = await ensure();
	expect(server.adopted).toBe(false);
	expect(lifeOf(pid)).toBeUndefined();
});

test("another program on the kept port is left alone: new port, new token, same store", async () => {
	const first = await ensure();
	await store(first, "kept over a move");
	await first.stop();
	const other = createServer((socket) => socket.end("not NATS\r\n"));
	other.listen(portOf(first), "127.0.0.1");
	await once(other, "listening");
	onTestFinished(() => void other.close());
	const second = await ensure();
	expect(portOf(second)).not.toBe(portOf(first));
	expect(second.token).not.toBe(first.token);
	expect(await stored(second)).toBe("kept over a move");
	expect(other.listening).toBe(true);
});

test("a stale pid file that names somebody else's process is ignored and that process left alone", async () => {
	const first = await ensure();
	await first.stop();
	const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
	onTestFinished(() => void other.kill("SIGKILL"));
	await writeFile(join(dataFolder, "nats", "nats.pid"), String(other.pid));
	const second = await ensure();
	expect(second).toMatchObject({ url: first.url, adopted: false });
	await second.stop();
	expect(lifeOf(other.pid ?? 0)).toBeDefined();
});

test("a running server that the pid file does not name is not joined by a second one on its store", async () => {
	const first = await ensure();
	await rm(join(dataFolder, "nats", "nats.pid"));
	await expect(ensure()).rejects.toThrow(/nats\.pid does not name its process.*Stop it by hand/s);
	expect(lifeOf(first.pid)).toBeDefined();
});

test("two data folders have servers of their own that do not disturb each other", async () => {
	const otherFolder = await temporaryFolder();
	onTestFinished(() => rm(otherFolder, { recursive: true, force: true }));
	const [one, other] = await Promise.all([ensure(), ensure(otherFolder)]);
	await Promise.all([store(one, "one"), store(other, "other")]);
	expect(one.url).not.toBe(other.url);
	await expect(connect({ servers: one.url, token: other.token, reconnect: false })).rejects.toThrow(/authorization/i);
	await other.stop();
	expect(await stored(one)).toBe("one");
});

test("a copied data folder gets a server of its own and does not adopt the original's", async () => {
	const original = await ensure();
	const copy = await temporaryFolder();
	onTestFinished(() => rm(copy, { recursive: true, force: true }));
	await cp(dataFolder, copy, { recursive: true });
	const server = await ensure(copy);
	expect(server.adopted).toBe(false);
	expect(server.url).not.toBe(original.url);
	expect(lifeOf(original.pid)).toBeDefined();
});

test("a server that cannot start says why and leaves nothing behind", async () => {
	const broken = join(dataFolder, "broken");
	await writeFile(broken, "#!/bin/sh\necho 'no room for the store' >&2\nexit 1\n", { mode: 0o755 });
	await expect(ensureNatsServer({ dataFolder, binary: broken, log: silent })).rejects.toThrow(/no room for the store/);
	await expect(ensureNatsServer({ dataFolder, binary: `${broken}-not`, log: silent })).rejects.toThrow(/ENOENT/);
	const mute = join(dataFolder, "mute");
	await writeFile(mute, "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
	const start = ensureNatsServer({ dataFolder, binary: mute, log: silent, patience: 100 });
	await expect(start).rejects.toThrow(/did not start/);
	expect(lifeOf(Number(await readFile(join(dataFolder, "nats", "nats.pid"), "utf8")))).toBeUndefined();
});
