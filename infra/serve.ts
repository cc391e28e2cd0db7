import { join } from "node:path";
import { inference } from "../actors/inference/inference.ts";
import { orchestration } from "../actors/orchestration/orchestration.ts";
import { find } from "../actors/retrieval/find.ts";
import { retrieval } from "../actors/retrieval/retrieval.ts";
import { session } from "../actors/session/session.ts";
import { telemetry } from "../actors/telemetry/telemetry.ts";
import { searchDocuments } from "../actors/tools/search-documents.ts";
import { declarationOf } from "../actors/tools/tool.ts";
import { tools } from "../actors/tools/tools.ts";
import { startGateway } from "../gateway/gateway.ts";
import { listen } from "../gateway/uws.ts";
import type { Config, RoleName } from "../schemas/config.ts";
import type { Entry } from "../schemas/entry.ts";
import { connectBus } from "./bus/connect.ts";
import { jetStreamLog } from "./bus/jetstream-log.ts";
import { openLink } from "./bus/link.ts";
import { ensureStreams } from "./bus/streams.ts";
import { loadConfiguration } from "./config/load.ts";
import type { Logger } from "./log.ts";
import { isSetUp, openProviders } from "./models/providers.ts";
import { openTokenizer } from "./models/tokenizer.ts";
import { loadUws } from "./native/uws-binary.ts";
import { cacheFolder, configFolder } from "./paths.ts";
import { withTimers } from "./run/timers.ts";
import { type RunContext, type Running, runDecider, runObserver, runTimers, runWorker } from "./run.ts";
import { openEmbeddings } from "./search/embeddings.ts";
import { openSqliteSearch } from "./search/sqlite-search.ts";
import { storedAdmission } from "./stores/admission.ts";
import { storedConfigurations } from "./stores/configurations.ts";
import { storedFeedback } from "./stores/feedback.ts";
import { keyCredentials } from "./stores/key-credentials.ts";
import { sessionOwners, storedResults, storedSessions } from "./stores/sessions.ts";
import { documentShelf, library } from "./stores/shelf.ts";
import { openSqliteDocuments } from "./stores/sqlite-documents.ts";
import { sweep } from "./stores/sweep.ts";
import { openMeter } from "./telemetry/meter.ts";
import { storeRecord } from "./telemetry/records.ts";

/** How long an actor, and a client at a door, wait for a broker that is away. */
const ACTOR_PATIENCE_MS = 60_000;
const DOOR_PATIENCE_MS = 2_000;
const CACHED_STATES = 20_000;
const SWEEP_MS = 600_000;

export type Serving = {
	/** Port of the gateway, when this process has that role. */ port: number | undefined;
	stop(): Promise<void>;
};

/** Runs roles in this process until stopped: opens what they need, starts them, and ends them in the order of §3. */
export async function serve(config: Config, roles: readonly RoleName[], logger: Logger): Promise<Serving> {
	const has = (role: RoleName) => roles.includes(role);
	const name = `${config.name || roles.join("+")}-${process.pid}`;
	const closing: (() => Promise<void>)[] = [];
	const open = <T extends { close(): Promise<void> }>(part: T): T => {
		closing.unshift(() => part.close());
		return part;
	};

	const documents = open(openSqliteDocuments(join(config.data, "documents.db")));
	const link = open(openLink(await connectBus({ url: config.natsUrl, name, log: logger })));
	await ensureStreams(link.connection, config.logMaxAge);

	const embeddings = open(openEmbeddings());
	const search = open(openSqliteSearch({ folder: join(config.data, "search"), dimensions: embeddings.dimensions }));
	const searchTool = searchDocuments(async ({ tenant, labels }, query, limit) => {
		const { ranked } = await find({ search, embeddings }, { tenant, labels, query, history: [] });
		return ranked.slice(0, limit).map(({ item }) => item);
	});
	const endpoint = { baseUrl: config.openaiBaseUrl, apiKey: config.openaiKey };
	const { bundle, models } = await loadConfiguration(config.config || configFolder, isSetUp(endpoint), [
		declarationOf(searchTool),
	]);
	const configurations = storedConfigurations(documents);
	await configurations.keep(bundle);

	const tokenizer = open(openTokenizer());
	const actorLog = withTimers(
		jetStreamLog({ link, writer: name, patienceMs: ACTOR_PATIENCE_MS }),
		link,
		ACTOR_PATIENCE_MS,
	);
	const history = (end: Entry) => actorLog.read(end, 0);
	const context: RunContext = {
		link,
		log: actorLog,
		slots: config.slots,
		logger,
		bundle: configurations.load,
		cacheSize: CACHED_STATES,
	};
	const now = Date.now;
	const running: Running[] = [];

	if (has("session")) {
		const sessions = storedSessions(documents, now);
		const feature = async (sha256: string, named: string) => {
			const found = (await configurations.load(sha256)).features[named];
			if (!found) throw new Error(`feature "${named}" is expected in configuration ${sha256}`);
			return found;
		};
		running.push(runWorker(session, { sessions, feature, countTokens: tokenizer.count, history }, context));
		const sweeping = setInterval(() => {
			sweep(documents, now()).catch((err: unknown) => logger.warn({ err }, "sweep failed"));
		}, SWEEP_MS);
		running.push({ stop: async () => clearInterval(sweeping) });
	}
	if (has("retrieval")) {
		running.push(
			runWorker(retrieval, { search, embeddings, library: library(documents), chunk: tokenizer.chunk, now }, context),
		);
	}
	if (has("tools")) running.push(runWorker(tools, { tools: new Map([[searchTool.name, searchTool]]), now }, context));
	if (has("inference")) {
		const providers = open(openProviders(models, endpoint, tokenizer));
		const ports = {
			provider: providers.find,
			limits: models.limits,
			countTokens: tokenizer.count,
			now,
			random: Math.random,
			wait,
		};
		running.push(runWorker(inference, ports, context));
	}
	if (has("telemetry"))
		running.push(
			runObserver(telemetry({ store: storeRecord(documents, logger), history, held: CACHED_STATES }), context),
		);
	if (has("orchestration")) running.push(runDecider(orchestration, context), runTimers(context));

	let port: number | undefined;
	if (has("gateway")) {
		const uws = await loadUws(cacheFolder, (line) => logger.info(line));
		const gateway = await startGateway({
			log: jetStreamLog({ link, writer: name, patienceMs: DOOR_PATIENCE_MS }),
			credentials: keyCredentials(documents),
			results: storedResults(documents),
			owners: sessionOwners(documents),
			admission: storedAdmission(documents, config),
			shelf: documentShelf(documents, search),
			feedback: storedFeedback(documents),
			features: {
				sha256: bundle.sha256,
				standard: config.feature,
				find: (named) => {
					const feature = bundle.features[named];
					return feature && { roles: feature.roles, deadline_ms: feature.deadline_ms, session: feature.session.model };
				},
			},
			meter: openMeter(),
			ready: async () => (link.isUp() ? [] : ["the connection to nats-server"]),
			logger,
			listen: (doors) => listen(uws, { host: config.host, port: config.port }, doors),
		});
		port = gateway.port;
		// What faces users goes first.
		running.unshift(gateway);
	}
	return {
		port,
		async stop() {
			for (const part of running) await part.stop();
			for (const close of closing) await close();
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
