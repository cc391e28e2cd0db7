import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type App, type ProcessName, startApp } from "../testing/app.ts";
import { type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { ask, endOf, faultsOf, type Transcript, textOf } from "../testing/transcript.ts";

/** What is killed while an answer streams, and by how many provider calls the answer may then have been paid for at most (L8). */
const ANSWER = { tokens: 60, every_ms: 40 };

let provider: ScriptedProvider;
let app: App;
let token: string;

beforeAll(async () => {
	provider = await startScriptedProvider();
	app = await startApp({ OPENAI_BASE_URL: `${provider.url}/v1`, OPENAI_API_KEY: "test", THROUGHLINE_FEATURE: "chat" });
	token = await app.key("acme");
});
afterAll(async () => {
	await app[Symbol.asyncDispose]();
	await provider[Symbol.asyncDispose]();
});
afterEach(() => provider.reset());

/** Asks, and does something when the answer has begun to stream. */
async function interrupted(input: string, interrupt: (events: Transcript) => Promise<void>): Promise<Transcript> {
	const seen: Transcript = [];
	let done: Promise<void> | undefined;
	const events = await ask(app.url, token, { input }, (event) => {
		seen.push(event);
		if (!done && seen.filter(({ type }) => type === "output_text.delta").length >= 5) done = interrupt(seen);
	});
	await done;
	return events;
}

/** The process that answers, by the pid in the writer's name. */
async function answering(events: Transcript): Promise<ProcessName> {
	const request = events[0]?.request_id ?? "";
	const writers = await app.writers("acme", request, "inference");
	for (const name of ["actors-1", "actors-2"] as const) {
		if (writers.at(-1)?.endsWith(`-${await app.pid(name)}`)) return name;
	}
	throw new Error(`no process writes as ${writers.join(", ")}`);
}

async function expectWhole(events: Transcript, input: string, calls: number): Promise<void> {
	expect(faultsOf(events)).toEqual([]);
	expect(endOf(events)).toMatchObject({ status: "completed" });
	expect(textOf(events)).toMatch(new RegExp(`^${input}.* word${ANSWER.tokens}$`));
	const bill = await provider.bill({ settled: true });
	expect(bill.length).toBeLessThanOrEqual(calls);
	// Exact accounting: one attempt in the log for every call that the provider has on its bill.
	expect(events.at(-2)).toMatchObject({ attempts: bill.map((_, at) => ({ attempt: at + 1 })) });
}

test("[L8] kill -9 of the process that answers: the next attempt retracts its text and the answer ends once", async () => {
	await provider.script({ default: ANSWER });
	const events = await interrupted("kill the answering process", async (seen) => app.kill9(await answering(seen)));
	await expectWhole(events, "kill the answering process", 2);
	expect(events.filter(({ type }) => type === "output_text.retracted")).toHaveLength(1);
	expect(events.at(-2)).toMatchObject({ estimated: true, attempts: [{ outcome: "lost" }, { outcome: "completed" }] });
});

test("[L8] kill -9 of the other actor process: nothing is seen of it", async () => {
	await provider.script({ default: ANSWER });
	const events = await interrupted("kill the idle process", async (seen) => {
		await app.kill9((await answering(seen)) === "actors-1" ? "actors-2" : "actors-1");
	});
	await expectWhole(events, "kill the idle process", 1);
});

test("[G2] kill -9 of the gateway: the client goes on by its cursor, nothing is lost or doubled", async () => {
	await provider.script({ default: ANSWER });
	const events = await interrupted("kill the gateway", () => app.kill9("gateway"));
	await expectWhole(events, "kill the gateway", 1);
});

test("[L3] kill -9 of nats-server: the answer goes on when it is back, and ends once", async () => {
	await provider.script({ default: ANSWER });
	const events = await interrupted("kill the broker", () => app.kill9("nats"));
	await expectWhole(events, "kill the broker", 2);
});

test("kill -9 of everything at once: the next start adopts the data and the answer goes on", async () => {
	await provider.script({ default: ANSWER });
	const events = await interrupted("kill everything", async () => {
		await app.kill9Everything();
		await app.start();
	});
	await expectWhole(events, "kill everything", 2);
});

test("kill -9 of everything but nats-server: the next start adopts the broker that was left over", async () => {
	await provider.script({ default: ANSWER });
	const broker = await app.pid("nats");
	const events = await interrupted("leave the broker", async () => {
		for (const name of ["supervisor", "gateway", "actors-1", "actors-2"] as const) await app.kill9(name);
		await app.start();
	});
	await expectWhole(events, "leave the broker", 2);
	expect(await app.pid("nats")).toBe(broker);
});
