import { inference } from "../../actors/inference/inference.ts";
import { orchestration } from "../../actors/orchestration/orchestration.ts";
import { retrieval } from "../../actors/retrieval/retrieval.ts";
import { session } from "../../actors/session/session.ts";
import { telemetry } from "../../actors/telemetry/telemetry.ts";
import { tools } from "../../actors/tools/tools.ts";
import type { RoleName } from "../../schemas/config.ts";
import type { Entry } from "../../schemas/entry.ts";
import { jetStreamLog } from "../bus/jetstream-log.ts";
import { openProviders } from "../models/providers.ts";
import { openTokenizer } from "../models/tokenizer.ts";
import { withTimers } from "../run/timers.ts";
import { type RunContext, type Running, runDecider, runObserver, runTimers, runWorker } from "../run.ts";
import { storedSessions } from "../stores/sessions.ts";
import { library } from "../stores/shelf.ts";
import { sweep } from "../stores/sweep.ts";
import { storeRecord } from "../telemetry/records.ts";
import type { Parts } from "./parts.ts";

type ActorRole = Exclude<RoleName, "gateway">;

/** How long an actor waits for a broker that is away before its message goes to somebody else. */
const PATIENCE_MS = 60_000;
const CACHED_STATES = 20_000;
const SWEEP_MS = 600_000;

/** Starts actors in this process, each with its ports. */
export function startActors(roles: readonly ActorRole[], parts: Parts): Running {
	const { config, name, logger, documents, link, search, embeddings, searchTool, configurations, models } = parts;
	const log = withTimers(jetStreamLog({ link, writer: name, patienceMs: PATIENCE_MS }), link, PATIENCE_MS);
	const context: RunContext = {
		link,
		log,
		slots: config.slots,
		logger,
		bundle: configurations.load,
		cacheSize: CACHED_STATES,
	};
	const tokenizer = openTokenizer();
	const countTokens = tokenizer.count;
	const providers = openProviders(models, config, tokenizer);
	const history = (end: Entry) => log.read(end, 0);
	const now = Date.now;

	const start: Record<ActorRole, () => Running[]> = {
		session() {
			const sessions = storedSessions(documents, now);
			const sweeping = setInterval(() => {
				sweep(documents, now()).catch((err: unknown) => logger.warn({ err }, "sweep failed"));
			}, SWEEP_MS);
			const feature = async (sha256: string, named: string) => {
				const found = (await configurations.load(sha256)).features[named];
				if (!found) throw new Error(`feature "${named}" is expected in configuration ${sha256}`);
				return found;
			};
			const worker = runWorker(session, { sessions, feature, countTokens, history, tail: log.tail }, context);
			return [worker, { stop: async () => clearInterval(sweeping) }];
		},
		retrieval() {
			const ports = { search, embeddings, library: library(documents), chunk: tokenizer.chunk, now };
			return [runWorker(retrieval, ports, context)];
		},
		tools: () => [runWorker(tools, { tools: new Map([[searchTool.name, searchTool]]), now }, context)],
		inference() {
			const { limits } = models;
			return [
				runWorker(
					inference,
					{ provider: providers.find, limits, countTokens, now, random: Math.random, wait },
					context,
				),
			];
		},
		telemetry: () => [runObserver(telemetry({ store: storeRecord(documents, logger), history }), context)],
		// Timers are the decider's clock.
		orchestration: () => [runDecider(orchestration, context), runTimers(context)],
	};
	const running = roles.flatMap((role) => start[role]());
	return {
		async stop() {
			await Promise.all(running.map((part) => part.stop()));
			await Promise.all([providers.close(), tokenizer.close()]);
		},
	};
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		if (signal.aborted) return resolve();
		const timer = setTimeout(resolve, ms);
		signal.addEventListener("abort", () => {
			clearTimeout(timer);
			resolve();
		});
	});
}
