import { afterAll, beforeAll, expect, test } from "vitest";
import type { Draft, Entry } from "../../schemas/entry.ts";
import { logContract } from "../../subjects/log.contract.ts";
import { isConflict } from "../../subjects/log.ts";
import { newSessionId, randomRequestId } from "../../subjects/subjects.ts";
import { silent, startTestNats, type TestNats } from "../testing/nats.ts";
import { connectBus } from "./connect.ts";
import { jetStreamLog } from "./jetstream-log.ts";
import { type Link, openLink } from "./link.ts";
import { ensureStreams } from "./streams.ts";

let nats: TestNats;
beforeAll(async () => {
	nats = await startTestNats();
});
afterAll(async () => {
	await nats[Symbol.asyncDispose]();
});

async function open(name: string): Promise<Link> {
	return openLink(await connectBus({ url: nats.url, token: nats.token, name, log: silent }));
}

logContract("the log on JetStream", async () => {
	const links = await Promise.all([open("one"), open("two")]);
	await ensureStreams(links[0].connection, 24);
	return {
		log: jetStreamLog({ link: links[0], writer: "one", patienceMs: 5_000 }),
		other: jetStreamLog({ link: links[1], writer: "two", patienceMs: 5_000 }),
		[Symbol.asyncDispose]: async () => {
			await Promise.all(links.map((link) => link.close()));
		},
	};
});

test("[L3] appends in flight while the broker is killed and started are each there exactly once", async () => {
	const link = await open("writer");
	await ensureStreams(link.connection, 24);
	const log = jetStreamLog({ link, writer: "writer", patienceMs: 30_000 });
	const draft = (text: string): Draft => ({
		audience: "stream",
		actor: "inference",
		cause: 0,
		final: false,
		attempt: 1,
		events: [{ type: "output_text.delta", data: { text } }],
	});
	const chains = Array.from({ length: 20 }, async () => {
		const request = randomRequestId();
		const address = { tenant: "acme", request, session: newSessionId(request) };
		let last: Entry | undefined;
		for (let at = 0; at < 150; at++) {
			const result = await log.append(draft(String(at)), last ?? { address, trace: "" });
			// A lone writer meets nobody: a conflict would be its own entry taken for a stranger's.
			if (isConflict(result)) throw new Error(`conflict at ${at}`);
			last = result;
		}
		return address;
	});
	for (let kills = 0; kills < 3; kills++) {
		const back = new Promise<void>((resolve) => {
			const watching = link.onReconnect(() => {
				watching[Symbol.dispose]();
				resolve();
			});
		});
		await nats.kill9();
		await nats.start();
		await back;
	}
	for (const address of await Promise.all(chains)) {
		const texts = (await log.read(address, 0)).flatMap(({ events }) =>
			events.map((event) => (event.type === "output_text.delta" ? event.data.text : "")),
		);
		expect(texts).toEqual(Array.from({ length: 150 }, (_, at) => String(at)));
	}
	await link.close();
}, 60_000);

test("an append while the broker is away is refused as log_unavailable after the patience is over", async () => {
	const link = await open("impatient");
	const log = jetStreamLog({ link, writer: "impatient", patienceMs: 200 });
	await nats.kill9();
	const request = randomRequestId();
	const address = { tenant: "acme", request, session: newSessionId(request) };
	await expect(log.tail("acme", request)).rejects.toMatchObject({ code: "log_unavailable" });
	await expect(
		log.append(
			{ audience: "stream", actor: "gateway", cause: 0, final: false, attempt: 0, events: [] },
			{ address, trace: "" },
		),
	).rejects.toMatchObject({ code: "log_unavailable" });
	await nats.start();
	await link.close();
});

test("[L16] declaring everything again changes nothing, another age is taken over", async () => {
	const link = await open("probe");
	for (const hours of [24, 24, 12]) await ensureStreams(link.connection, hours);
	await link.close();
});
