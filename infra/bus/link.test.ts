import { afterAll, beforeAll, expect, test } from "vitest";
import { silent, startTestNats, type TestNats } from "../testing/nats.ts";
import { connectBus } from "./connect.ts";
import { LinkLost, openLink } from "./link.ts";

let nats: TestNats;
beforeAll(async () => {
	nats = await startTestNats();
});
afterAll(() => nats[Symbol.asyncDispose]());

const open = async () => openLink(await connectBus({ url: nats.url, token: nats.token, name: "link", log: silent }));

/** A subject on which somebody listens and never answers. */
async function silence(link: Awaited<ReturnType<typeof open>>): Promise<string> {
	link.connection.subscribe("silence", { callback: () => {} });
	await link.connection.flush();
	return "silence";
}

test("[L3] calls in flight end when the connection drops, not at their time-out; later ones go through", async () => {
	const link = await open();
	const subject = await silence(link);
	const back = new Promise<void>((resolve) => {
		link.onReconnect(resolve);
	});
	const calls = Promise.allSettled([link.ask(subject, ""), link.collect(subject, "")]);
	await link.connection.flush();
	await nats.kill9();
	const reasons = (await calls).map((call) => (call.status === "rejected" ? String(call.reason) : "answered"));
	expect(reasons).toEqual(Array(2).fill("Error: the connection to the broker dropped"));
	expect(link.isUp()).toBe(false);
	await expect(link.ask(subject, "")).rejects.toBeInstanceOf(LinkLost);
	await nats.start();
	await back;
	expect(link.isUp()).toBe(true);
	link.connection.subscribe("echo", { callback: (_, message) => void message.respond("here") });
	expect((await link.ask("echo", "")).string()).toBe("here");
	await link.close();
});

test("calls on a connection that is closed for good are lost, not left hanging", async () => {
	const link = await open();
	await link.close();
	await expect(link.ask("any", "")).rejects.toBeInstanceOf(LinkLost);
	await expect(link.collect("any", "")).rejects.toBeInstanceOf(LinkLost);
	// While it closes the link does not know yet, and the library itself refuses.
	const closing = await open();
	const drained = closing.connection.drain();
	await expect(closing.ask("any", "")).rejects.toBeInstanceOf(LinkLost);
	await drained;
	await closing.close();
});

test("what is tried again while the broker is away ends as log_unavailable; other problems end it at once", async () => {
	const link = await open();
	let tries = 0;
	await expect(
		link.persist(120, async () => {
			tries += 1;
			throw new LinkLost("away");
		}),
	).rejects.toMatchObject({ code: "log_unavailable" });
	expect(tries).toBeGreaterThan(1);
	tries = 0;
	await expect(
		link.persist(120, async () => {
			tries += 1;
			throw new Error("not a matter of the link");
		}),
	).rejects.toThrow("not a matter of the link");
	expect(tries).toBe(1);
	await link.close();
});
