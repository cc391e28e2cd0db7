import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { lifeOf } from "../bus/process.ts";
import { freePort } from "../free-port.ts";
import { type App, type ProcessName, startApp } from "../testing/app.ts";
import { call } from "../testing/raw-client.ts";
import { type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { ask, endOf, faultsOf, textOf } from "../testing/transcript.ts";

const PROCESSES: readonly ProcessName[] = ["supervisor", "gateway", "actors-1", "actors-2", "nats"];

let provider: ScriptedProvider;
let one: App;
let other: App;
const folders: string[] = [];

const pidsOf = (app: App) => Promise.all(PROCESSES.map((name) => app.pid(name)));
const options = () => ({
	OPENAI_BASE_URL: `${provider.url}/v1`,
	OPENAI_API_KEY: "test",
	THROUGHLINE_FEATURE: "chat",
});

beforeAll(async () => {
	provider = await startScriptedProvider();
	one = await startApp(options());
	other = await startApp(options());
});
afterAll(async () => {
	await one[Symbol.asyncDispose]();
	await other[Symbol.asyncDispose]();
	await provider[Symbol.asyncDispose]();
	for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
afterEach(() => provider.reset());

/** The program itself, started as it would be by hand; it has to end by itself. */
async function run(env: Readonly<Record<string, string>>): Promise<{ code: number | null; log: string; data: string }> {
	const data = await mkdtemp(join(tmpdir(), "throughline-app-"));
	folders.push(data);
	const { OPENAI_API_KEY: _, OPENAI_BASE_URL: __, NATS_URL: ___, ...inherited } = process.env;
	const started = spawn(process.execPath, [join(import.meta.dirname, "../main.ts")], {
		env: { ...inherited, THROUGHLINE_DATA: data, THROUGHLINE_PORT: "0", THROUGHLINE_DEMO: "off", ...env },
		stdio: ["ignore", "pipe", "pipe"],
	});
	let log = "";
	started.stdout.on("data", (bytes: Buffer) => {
		log += bytes;
	});
	started.stderr.on("data", (bytes: Buffer) => {
		log += bytes;
	});
	const [code] = await once(started, "close");
	return { code, log, data };
}

/** What it said last before it gave up. */
const lastWords = (log: string): string => JSON.parse(log.trim().split("\n").at(-1) ?? "").msg;

async function expectAnswers(app: App, tenant: string): Promise<void> {
	await provider.script({ default: { text: "Here I am." } });
	const events = await ask(app.url, await app.key(tenant), { input: "are you there?" });
	expect(faultsOf(events)).toEqual([]);
	expect(textOf(events)).toBe("Here I am.");
}

describe("two instances on one machine", () => {
	test("both answer, on ports, brokers and folders of their own", async () => {
		await Promise.all([expectAnswers(one, "acme"), expectAnswers(other, "acme")]);
		expect(new Set([...(await pidsOf(one)), ...(await pidsOf(other))]).size).toBe(10);
		expect(one.url).not.toBe(other.url);
	});

	test("a key, a request and a session of one are unknown to the other", async () => {
		const key = await one.key("acme");
		const { request_id } = endOf(await ask(one.url, key, { input: "hello" }));
		expect((await call(one.url, key, `/v1/requests/${request_id}`)).status).toBe(200);
		expect((await call(other.url, key, `/v1/requests/${request_id}`)).status).toBe(401);
		const same = await other.key("acme");
		expect((await call(other.url, same, `/v1/requests/${request_id}`)).status).toBe(404);
	});

	test("[L3] killing the broker of one leaves the other undisturbed, in the middle of an answer", async () => {
		await provider.script({ default: { tokens: 40, every_ms: 25 } });
		const before = await pidsOf(other);
		const killed = await one.pid("nats");
		let kill: Promise<void> | undefined;
		const events = await ask(other.url, await other.key("acme"), { input: "go on" }, ({ type }) => {
			if (type === "output_text.delta") kill ??= one.kill9("nats");
		});
		await kill;
		expect(faultsOf(events)).toEqual([]);
		expect(events.at(-2)).toMatchObject({ attempts: [{ outcome: "completed" }] });
		expect(await pidsOf(other)).toEqual(before);
		expect(other.log()).not.toMatch(/disconnected|died/);
		await expect.poll(() => one.pid("nats"), { timeout: 10_000 }).not.toBe(killed);
		await expectAnswers(one, "acme");
	});

	test("a second start on a folder in use is refused, naming process and folder, and the first goes on", async () => {
		const before = await pidsOf(one);
		const { code, log } = await run({ THROUGHLINE_DATA: one.data });
		expect(code).toBe(1);
		expect(lastWords(log)).toBe(
			`The data folder ${one.data} is in use by process ${await one.pid("supervisor")}. Stop that one, or set THROUGHLINE_DATA to another folder and THROUGHLINE_PORT to another port.`,
		);
		expect(await pidsOf(one)).toEqual(before);
		await expectAnswers(one, "acme");
	});
});

describe("a start that cannot work ends and says why", () => {
	test("roles without a broker", async () => {
		const { code, log } = await run({ THROUGHLINE_ROLES: "gateway" });
		expect({ code, said: lastWords(log) }).toMatchInlineSnapshot(`
			{
			  "code": 1,
			  "said": "NATS_URL is expected with THROUGHLINE_ROLES: without it, start the supervisor (no THROUGHLINE_ROLES), which brings a nats-server.",
			}
		`);
	});

	test("a broker that is not there: named by any process, and the supervisor stops everything", async () => {
		const port = await freePort();
		const NATS_URL = `nats://secret@127.0.0.1:${port}`;
		const [gateway, actors, supervisor] = await Promise.all([
			run({ NATS_URL, THROUGHLINE_ROLES: "gateway" }),
			run({ NATS_URL, THROUGHLINE_ROLES: "session,inference" }),
			run({ NATS_URL }),
		]);
		for (const { code, log } of [gateway, actors, supervisor]) {
			expect(code).toBe(1);
			expect(log).toMatch(
				new RegExp(
					`No NATS server at 127\\.0\\.0\\.1:${port} after \\d+ ms of trying \\(.+\\)\\. Start one there, set NATS_URL to a running one, or unset NATS_URL to have a local one started\\.`,
				),
			);
			expect(log).not.toContain("secret");
		}
		for (const { log } of [gateway, actors]) expect(lastWords(log)).toMatch(/^No NATS server/);
		expect(lastWords(supervisor.log)).toMatch(/^(gateway|actors-1|actors-2) could not start; its last line says why$/);
		await expectNothingLeft(supervisor.data);
	});

	test("a broker that does not take the token", async () => {
		const port = /listen: "127\.0\.0\.1:(\d+)"/.exec(await readFile(join(one.data, "nats/nats.conf"), "utf8"))?.[1];
		const { code, log } = await run({ THROUGHLINE_ROLES: "gateway", NATS_URL: `nats://wrong@127.0.0.1:${port}` });
		expect(code).toBe(1);
		expect(lastWords(log)).toMatch(/refused the credentials .*Put the right token or user into NATS_URL/);
		expect(log).not.toContain("wrong");
	});

	test("a port that is taken: named, and nothing is left behind", async () => {
		const holder = createServer().listen(0, "127.0.0.1");
		await once(holder, "listening");
		const address = holder.address();
		const port = typeof address === "object" ? address?.port : 0;
		const { code, log, data } = await run({ THROUGHLINE_PORT: String(port) });
		holder.close();
		expect(code).toBe(1);
		expect(log).toContain(`cannot listen on 127.0.0.1:${port}: the port is taken or reserved`);
		expect(log).toContain("set THROUGHLINE_PORT and THROUGHLINE_HOST to others");
		expect(lastWords(log)).toBe("gateway could not start; its last line says why");
		await expectNothingLeft(data);
	});

	test("options that are wrong are all named at once", async () => {
		const { code, log } = await run({ THROUGHLINE_PORT: "99999", THROUGHLINE_ROLES: "gatway", LOG_MAX_AGE: "-1" });
		expect(code).toBe(1);
		for (const name of ["THROUGHLINE_PORT", "THROUGHLINE_ROLES", "LOG_MAX_AGE"]) expect(log).toContain(name);
		expect(log).not.toMatch(/\n\s+at /);
	});

	test("a data folder that is a file is named", async () => {
		const { code, log } = await run({ THROUGHLINE_DATA: join(import.meta.dirname, "instances.test.ts") });
		expect(code).toBe(1);
		expect(lastWords(log)).toMatch(/^EEXIST: .*instances\.test\.ts/);
	});

	test("a configuration folder that is not there is named", async () => {
		const { code, log, data } = await run({ THROUGHLINE_CONFIG: "/nowhere/config" });
		expect(code).toBe(1);
		expect(log).toContain("/nowhere/config/models.yaml is expected to be a readable file");
		await expectNothingLeft(data);
	});
});

/** No process of that folder lives, its broker included. */
async function expectNothingLeft(data: string): Promise<void> {
	const files = ["pids/gateway", "pids/actors-1", "pids/actors-2", "nats/nats.pid"];
	const pids = await Promise.all(files.map((file) => readFile(join(data, file), "utf8").catch(() => "0")));
	for (const pid of pids) expect(Number(pid) > 0 && lifeOf(Number(pid)) !== undefined).toBe(false);
}

describe("an end", () => {
	test("stop leaves no process behind, nats-server included, and nobody listens any more", async () => {
		const pids = await pidsOf(other);
		await other.stop();
		for (const pid of pids) expect(lifeOf(pid)).toBeUndefined();
		await expect(fetch(`${other.url}/healthz`)).rejects.toThrow();
		await expectAnswers(one, "acme");
		await other.start();
		await expectAnswers(other, "acme");
	});

	test("a supervisor that is killed takes its processes with it, and the next start has the port again", async () => {
		const pids = await pidsOf(other);
		await other.kill9("supervisor");
		const children = pids.slice(1, 4);
		while (children.some((pid) => lifeOf(pid) !== undefined)) await sleep(20);
		await other.start();
		expect(await other.pid("nats")).toBe(pids[4]);
		await expectAnswers(other, "acme");
	});
});
