import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Address, Audience, Draft, Entry } from "../schemas/entry.ts";
import { isConflict, type Log } from "./log.ts";
import { newSessionId, randomRequestId } from "./subjects.ts";

/** Two log ports on the same log, as two processes have them. */
export type LogUnderTest = { log: Log; other: Log };

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function address(tenant = "acme"): Address {
	const request = randomRequestId();
	return { tenant, request, session: newSessionId(request) };
}

const delta = (text: string, audience: Audience = "stream", actor: Draft["actor"] = "inference"): Draft => ({
	audience,
	actor,
	cause: 0,
	final: false,
	attempt: 1,
	events: [{ type: "output_text.delta", data: { text } }],
});

async function appended(result: Promise<Awaited<ReturnType<Log["append"]>>>): Promise<Entry> {
	const entry = await result;
	if (isConflict(entry)) throw new Error(`an entry was expected, got a conflict after ${entry.missed.length} entries`);
	return entry;
}

/** What every form of the log port has to do; the rules' ids are those of DESIGN §2. */
export function logContract(name: string, open: () => Promise<LogUnderTest & AsyncDisposable>): void {
	describe(name, () => {
		let opened: (LogUnderTest & AsyncDisposable) | undefined;
		const logs = (): LogUnderTest => {
			if (!opened) throw new Error("not open");
			return opened;
		};
		beforeAll(async () => {
			opened = await open();
		});
		afterAll(async () => {
			await opened?.[Symbol.asyncDispose]();
		});

		test("[L2] entries count from 1, events too, without gaps, and carry what the first one began with", async () => {
			const { log } = logs();
			const to = address();
			const first = await appended(
				log.append(
					{ ...delta("a", "session", "gateway"), events: [...delta("a").events, ...delta("b").events] },
					{ address: to, trace },
				),
			);
			const second = await appended(log.append(delta("c"), first));
			expect(first).toMatchObject({ ...to, index: 1, after: 0, heard: 0, trace, events: [{ seq: 1 }, { seq: 2 }] });
			expect(second).toMatchObject({
				...to,
				index: 2,
				after: first.position,
				trace,
				events: [{ seq: 3, data: { text: "c" } }],
			});
			expect(await log.read(to, 0)).toEqual([first, second]);
		});

		test("[L2] heard is the last entry that orchestration wrote or was addressed by", async () => {
			const { log } = logs();
			const to = address();
			let last = await appended(log.append(delta("1", "session", "gateway"), { address: to, trace }));
			const heard: number[] = [last.heard];
			const positions = [last.position];
			for (const draft of [
				delta("2", "orchestration", "session"),
				delta("3", "inference", "orchestration"),
				delta("4"),
				delta("5"),
				delta("6", "orchestration"),
			]) {
				last = await appended(log.append(draft, last));
				heard.push(last.heard);
				positions.push(last.position);
			}
			expect(heard).toEqual([0, 0, positions[1], positions[2], positions[2], positions[2]]);
		});

		test("[L11] a cold decider gets what it heard by following the links, without the deltas between", async () => {
			const { log, other } = logs();
			const to = address();
			let last = await appended(log.append(delta("1", "session", "gateway"), { address: to, trace }));
			const heard: Entry[] = [];
			for (const [text, audience, actor] of [
				["2", "orchestration", "session"],
				["3", "inference", "orchestration"],
				["4", "stream", "inference"],
				["5", "stream", "inference"],
				["6", "orchestration", "inference"],
			] as const) {
				last = await appended(log.append(delta(text, audience, actor), last));
				if (audience === "orchestration" || actor === "orchestration") heard.push(last);
			}
			expect(await other.heard(last)).toEqual(heard.slice(0, -1));
			expect(await other.heard(heard[0] ?? last)).toEqual([]);
		});

		test("[L3] of many writers at one position exactly one wins, the others learn what they missed", async () => {
			const { log, other } = logs();
			const to = address();
			const first = await appended(log.append(delta("start", "session", "gateway"), { address: to, trace }));
			const results = await Promise.all(
				Array.from({ length: 16 }, (_, at) => (at % 2 ? log : other).append(delta(`w${at}`), first)),
			);
			const winners = results.filter((result) => !isConflict(result));
			expect(winners).toHaveLength(1);
			for (const result of results) if (isConflict(result)) expect(result.missed).toEqual(winners);
		});

		test("[L3] the fence holds over audiences: an append elsewhere in the request is a conflict", async () => {
			const { log, other } = logs();
			const to = address();
			const first = await appended(log.append(delta("start", "session", "gateway"), { address: to, trace }));
			const cancel = await appended(other.append(delta("cancel", "orchestration", "gateway"), first));
			expect(await log.append(delta("late", "stream"), first)).toEqual({ conflict: true, missed: [cancel] });
		});

		test("[L3] requests do not hinder one another", async () => {
			const { log } = logs();
			const results = await Promise.all(
				Array.from({ length: 50 }, async () => {
					const to = address();
					const first = await appended(log.append(delta("a", "session", "gateway"), { address: to, trace }));
					return appended(log.append(delta("b"), first));
				}),
			);
			expect(results.map(({ index }) => index)).toEqual(Array(50).fill(2));
		});

		test("[L4] of many claims of one request exactly one owns the start, also when they say the very same (row 34)", async () => {
			const { log, other } = logs();
			const to = address();
			const results = await Promise.all(
				Array.from({ length: 10 }, (_, at) =>
					(at % 2 ? log : other).append(delta("claim", "session", "gateway"), { address: to, trace }),
				),
			);
			const owners = results.filter((result) => !isConflict(result));
			expect(owners).toHaveLength(1);
			for (const result of results) if (isConflict(result)) expect(result.missed).toEqual(owners);
		});

		test("[L4] claims with another session conflict too: the request id alone decides", async () => {
			const { log } = logs();
			const to = address();
			const first = await appended(log.append(delta("a", "session", "gateway"), { address: to, trace }));
			const again = await log.append(delta("b", "session", "gateway"), {
				address: { ...to, session: newSessionId(randomRequestId()) },
				trace,
			});
			expect(again).toEqual({ conflict: true, missed: [first] });
		});

		test("[L11] a read after a position gives exactly what follows it, over all audiences in order", async () => {
			const { log, other } = logs();
			const to = address();
			let last = await appended(log.append(delta("0", "session", "gateway"), { address: to, trace }));
			const all = [last];
			const audiences: Audience[] = [
				"orchestration",
				"inference",
				"stream",
				"stream",
				"stream",
				"orchestration",
				"session",
			];
			for (const [at, audience] of audiences.entries()) {
				last = await appended(log.append(delta(String(at + 1), audience), last));
				all.push(last);
			}
			for (const [at, entry] of all.entries()) expect(await other.read(to, entry.position)).toEqual(all.slice(at + 1));
			expect(await other.tail(to.tenant, to.request)).toEqual(last);
		});

		test("[L11] a long log reads whole, beyond one batch", async () => {
			const { log } = logs();
			const to = address();
			let last = await appended(log.append(delta("0", "session", "gateway"), { address: to, trace }));
			for (let at = 1; at < 1_300; at++) last = await appended(log.append(delta(String(at)), last));
			const entries = await log.read(to, 0);
			expect(entries.map(({ index }) => index)).toEqual(Array.from({ length: 1_300 }, (_, at) => at + 1));
		});

		test("an unknown request has no tail and nothing to read", async () => {
			const to = address();
			expect(await logs().log.tail(to.tenant, to.request)).toBeUndefined();
			expect(await logs().log.read(to, 0)).toEqual([]);
		});

		test("the same request id in two tenants is two logs", async () => {
			const { log } = logs();
			const to = address("acme");
			const foreign = { ...to, tenant: "globex" };
			const mine = await appended(log.append(delta("a", "session", "gateway"), { address: to, trace }));
			expect(await log.read(foreign, 0)).toEqual([]);
			const theirs = await appended(log.append(delta("b", "session", "gateway"), { address: foreign, trace }));
			expect([await log.read(to, 0), await log.read(foreign, 0)]).toEqual([[mine], [theirs]]);
		});

		test("[G2] a follower sees every entry appended after it was ready, of its request or session only", async () => {
			const { log, other } = logs();
			const to = address();
			const first = await appended(log.append(delta("0", "session", "gateway"), { address: to, trace }));
			const seen: Entry[] = [];
			const bySession: Entry[] = [];
			let done = () => {};
			const both = new Promise<void>((resolve) => {
				done = () => seen.length === 2 && bySession.length === 2 && resolve();
			});
			using one = other.follow(to, (entry) => {
				seen.push(entry);
				done();
			});
			using two = other.follow({ tenant: to.tenant, session: to.session }, (entry) => {
				bySession.push(entry);
				done();
			});
			await Promise.all([one.ready(), two.ready()]);
			await appended(log.append(delta("elsewhere", "session", "gateway"), { address: address(), trace }));
			const second = await appended(log.append(delta("1"), first));
			const third = await appended(log.append(delta("2", "orchestration"), second));
			await both;
			expect([seen, bySession]).toEqual([
				[second, third],
				[second, third],
			]);
		});

		test("[L13] an entry over 256 KiB is refused before it is sent", async () => {
			const { log } = logs();
			const to = address();
			await expect(
				log.append(delta("x".repeat(256 * 1024), "session", "gateway"), { address: to, trace }),
			).rejects.toThrow(/262144 bytes/);
			expect(await log.tail(to.tenant, to.request)).toBeUndefined();
		});

		test("[L1] a token that could widen a subject is refused", async () => {
			const { log } = logs();
			for (const tenant of ["a.b", "*", ">", "", "a b", "x".repeat(65)]) {
				await expect(log.tail(tenant, randomRequestId())).rejects.toThrow(/tenant is expected/);
			}
		});
	});
}
