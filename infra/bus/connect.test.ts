import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { cacheFolder } from "../paths.ts";
import { silent, startTestNats, type TestNats } from "../testing/nats.ts";
import { type BusOptions, connectBus } from "./connect.ts";
import { findNatsServer } from "./nats-binary.ts";

let nats: TestNats;

beforeAll(async () => {
	nats = await startTestNats();
});

afterAll(() => nats[Symbol.asyncDispose]());

async function connectTo(url: string, more: Partial<BusOptions> = {}): Promise<NatsConnection> {
	const connection = await connectBus({ url, name: "test", log: silent, patience: 5_000, ...more });
	onTestFinished(() => connection.close());
	return connection;
}

function withUser(user: string, url = nats.url): string {
	return url.replace("nats://", `nats://${user}@`);
}

/** Resolves when a line with these words is logged. */
function listen() {
	const waiting = new Map<string, () => void>();
	const hear = (message: string) => {
		for (const [words, resolve] of waiting) if (message.includes(words)) resolve();
	};
	const heard = (words: string) => new Promise<void>((resolve) => waiting.set(words, resolve));
	return { log: { info: hear, warn: hear }, heard };
}

/** A TCP relay to the server: a second address for it, and a network that can break off or go silent. */
async function relay() {
	const ends = new Set<Socket>();
	let silent = false;
	const server = createServer((near) => {
		const far = dial(Number(new URL(nats.url).port), "127.0.0.1");
		for (const [from, to] of [
			[near, far],
			[far, near],
		] as const) {
			ends.add(from);
			from.on("data", (bytes) => silent || to.write(bytes));
			from.on("close", () => to.destroy());
			from.on("error", () => to.destroy());
		}
	});
	const up = async (port: number) => {
		server.listen(port, "127.0.0.1");
		await once(server, "listening");
	};
	const down = () => {
		for (const end of ends) end.destroy();
		server.close();
	};
	await up(0);
	onTestFinished(down);
	const address = server.address();
	if (address === null || typeof address === "string") throw new Error("expected the relay to have a port");
	return {
		listen: `127.0.0.1:${address.port}`,
		up: () => up(address.port),
		down,
		setSilent(value: boolean) {
			silent = value;
		},
	};
}

test("connects with the token beside or inside the URL, under its name", async () => {
	const beside = await connectTo(nats.url, { token: nats.token });
	const inside = await connectTo(withUser(nats.token));
	for (const connection of [beside, inside]) await expect(connection.flush()).resolves.toBeUndefined();
	const bare = await connectTo(nats.url.replace("nats://", ""), { token: nats.token });
	expect(bare.getServer()).toBe(nats.url.replace("nats://", ""));
});

test("connects with user and password from the URL", async () => {
	const { path } = await findNatsServer({ cacheFolder, log: silent });
	const args = ["--addr", "127.0.0.1", "--port", "-1", "--user", "door", "--pass", "p@ss:word"];
	const server = spawn(path, args, { stdio: ["ignore", "ignore", "pipe"] });
	onTestFinished(() => void server.kill("SIGKILL"));
	let said = "";
	while (!said.includes("Server is ready")) said += String((await once(server.stderr, "data"))[0]);
	const port = /client connections on 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
	const url = `nats://127.0.0.1:${port}`;
	await expect((await connectTo(withUser("door:p%40ss%3Aword", url))).flush()).resolves.toBeUndefined();
	await expect(connectTo(withUser("door:guessed", url))).rejects.toThrow(/refused the credentials/);
});

test("refused credentials are told at once, without the credentials", async () => {
	const patience = 600_000; // the test's own time-out is shorter
	const problem = await connectTo(withUser("guessed"), { patience }).catch((reason: Error) => reason.message);
	expect(problem).toMatch(/refused the credentials.*NATS_URL/);
	expect(problem).not.toMatch("guessed");
});

test("a start with nothing there ends with what was tried and what to do", async () => {
	await nats.stop();
	onTestFinished(() => nats.start());
	await expect(connectTo(nats.url, { patience: 200 })).rejects.toThrow(
		/No NATS server at 127\.0\.0\.1:\d+ after 200 ms.*Start one there, set NATS_URL/,
	);
});

test("a start before the server waits for it", async () => {
	await nats.stop();
	const connection = connectTo(nats.url, { token: nats.token, patience: 20_000 });
	await nats.start();
	await expect((await connection).flush()).resolves.toBeUndefined();
});

test("an address that is none is refused without showing what may be a secret in it", async () => {
	await expect(connectTo("http://s3cret@host:4222")).rejects.toThrow(/Expected NATS addresses like .*http:\/\/…@host/);
	await expect(connectTo(" , ")).rejects.toThrow(/Expected at least one NATS address/);
});

test("[L7] a connection survives a killed server and tells of both", async () => {
	const { log, heard } = listen();
	const connection = await connectTo(nats.url, { token: nats.token, log });
	const [lost, back] = [heard("disconnected"), heard("connected again")];
	await nats.kill9();
	await lost;
	await nats.start();
	await back;
	await expect(connection.flush()).resolves.toBeUndefined();
});

test("[L7] a broker that has gone silent counts as lost and is connected to again", async () => {
	const { log, heard } = listen();
	const network = await relay();
	const connection = await connectTo(network.listen, { token: nats.token, log });
	const [lost, back] = [heard("disconnected"), heard("connected again")];
	network.setSilent(true);
	await lost;
	network.setSilent(false);
	await back;
	await expect(connection.flush()).resolves.toBeUndefined();
});

test("of several addresses, one that was down at the start serves when the other goes down", async () => {
	const [first, second] = [await relay(), await relay()];
	first.down();
	const { log, heard } = listen();
	const url = `nats://${nats.token}@${first.listen}, ${second.listen}`;
	// The client shuffles addresses: some of these connections try the dead one first, the others never meet it.
	const connections = await Promise.all(Array.from({ length: 8 }, () => connectTo(url)));
	for (const connection of connections) {
		expect(connection.getServer()).toBe(second.listen);
		expect(connection.getServers()).toHaveLength(2);
	}
	const connection = await connectTo(url, { log });
	const back = heard(`connected again to ${first.listen}`);
	await first.up();
	second.down();
	await back;
	await expect(connection.flush()).resolves.toBeUndefined();
});
