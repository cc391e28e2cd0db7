import { jetstreamManager } from "@nats-io/jetstream";
import pino from "pino";
import type { Address, Audience, Draft, Entry } from "../../../schemas/entry.ts";
import type { EventDraft } from "../../../schemas/events/all.ts";
import { consumers, LOG_STREAM } from "../../../subjects/catalog.ts";
import { isConflict, type Log } from "../../../subjects/log.ts";
import { newSessionId, randomRequestId } from "../../../subjects/subjects.ts";
import { connectBus } from "../../bus/connect.ts";
import { jetStreamLog } from "../../bus/jetstream-log.ts";
import { type Link, openLink } from "../../bus/link.ts";
import { ensureStreams } from "../../bus/streams.ts";
import type { RunContext, Running } from "../../run.ts";
import { silent, startTestNats, type TestNats } from "../../testing/nats.ts";
import { withTimers } from "../timers.ts";
import { openSignals, type Signals } from "./signals.ts";

/** One process of the system, as far as the log can tell: a connection, a log, and runners. */
export type TestProcess = {
	name: string;
	link: Link;
	log: Log;
	/** Starts a runner on `slots` messages at once. */
	run(start: (context: RunContext) => Running, slots?: number): Running;
	/** Cuts the connection for good, as far as the broker can tell a crash. */
	kill(): Promise<void>;
};

/** A real broker, processes on it, and the test's own view of the log. */
export type Stage = AsyncDisposable & {
	nats: TestNats;
	link: Link;
	log: Log;
	signals: Signals;
	process(name: string): Promise<TestProcess>;
	/** Puts a first entry of a new request into the log. */
	begin(audience: Audience, events: readonly EventDraft[], actor?: Draft["actor"]): Promise<Entry>;
	/** Appends at the tail, whatever stands there. */
	append(to: Address, draft: Partial<Draft> & { events: readonly EventDraft[] }): Promise<Entry>;
	/** Resolves with the log as soon as it is as wanted. */
	until(of: Address, wanted: (entries: readonly Entry[]) => boolean): Promise<Entry[]>;
	/** Has the broker deliver everything again as delivery 1, as it may after a restart (L8). */
	forget(consumer: string): Promise<void>;
	/** Ends all processes and empties the log. */
	clear(): Promise<void>;
};

const PATIENCE_MS = 20_000;

export async function openStage(): Promise<Stage> {
	const nats = await startTestNats();
	const connect = async (name: string) =>
		openLink(await connectBus({ url: nats.url, token: nats.token, name, log: silent }));
	const link = await connect("test");
	await ensureStreams(link.connection, 24);
	const manager = await jetstreamManager(link.connection);
	const log = jetStreamLog({ link, writer: "test", patienceMs: PATIENCE_MS });
	const signals = openSignals(link);
	let closing: (() => Promise<void>)[] = [];

	const forget = async (consumer: string) => {
		const { config } = await manager.consumers.info(LOG_STREAM, consumer);
		await manager.consumers.delete(LOG_STREAM, consumer);
		await manager.consumers.add(LOG_STREAM, config);
	};
	const clear = async () => {
		await Promise.all(closing.map((close) => close()));
		closing = [];
		await manager.streams.purge(LOG_STREAM);
		for (const { stream, name } of consumers) if (stream === LOG_STREAM) await forget(name);
	};
	const append: Stage["append"] = async (to, draft) => {
		let last = await log.tail(to.tenant, to.request);
		while (last) {
			const result: Awaited<ReturnType<Log["append"]>> = await log.append(filled(draft), last);
			if (!isConflict(result)) return result;
			last = result.missed.at(-1);
		}
		throw new Error(`an entry of ${to.request} is expected in the log`);
	};
	return {
		nats,
		link,
		log,
		signals,
		async process(name) {
			const own = await connect(name);
			const ownLog = withTimers(jetStreamLog({ link: own, writer: name, patienceMs: PATIENCE_MS }), own, PATIENCE_MS);
			const running: Running[] = [];
			closing.push(async () => {
				// What a test leaves hanging is not waited for.
				await own.close();
				await Promise.all(running.map((one) => one.stop()));
			});
			return {
				name,
				link: own,
				log: ownLog,
				run(start, slots = 4) {
					const one = start({
						link: own,
						log: ownLog,
						slots,
						logger: pino({ level: "silent" }),
						bundle: async (sha256) => {
							throw new Error(`no configuration ${sha256} here`);
						},
						cacheSize: 100,
					});
					running.push(one);
					return one;
				},
				kill: () => own.close(),
			};
		},
		async begin(audience, events, actor = "orchestration") {
			const request = randomRequestId();
			const address = { tenant: "acme", request, session: newSessionId(request) };
			const result = await log.append(filled({ audience, actor, events }), { address, trace: "" });
			if (isConflict(result)) throw new Error("a new request is expected to be nobody's");
			return result;
		},
		append,
		async until(of, wanted) {
			let changed = Promise.withResolvers<void>();
			using following = log.follow(of, () => changed.resolve());
			await following.ready();
			for (;;) {
				const entries = await log.read(of, 0);
				if (wanted(entries)) return entries;
				await changed.promise;
				changed = Promise.withResolvers<void>();
			}
		},
		forget,
		clear,
		async [Symbol.asyncDispose]() {
			await clear();
			await link.close();
			await nats[Symbol.asyncDispose]();
		},
	};
}

const filled = (draft: Partial<Draft> & { events: readonly EventDraft[] }): Draft => ({
	audience: "stream",
	actor: "gateway",
	cause: 0,
	final: false,
	attempt: 0,
	...draft,
});

export const typesOf = (entries: readonly Entry[]): string[] =>
	entries.flatMap(({ events }) => events.map(({ type }) => type));
export const has = (type: string) => (entries: readonly Entry[]) => typesOf(entries).includes(type);
