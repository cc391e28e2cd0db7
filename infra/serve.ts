import { join } from "node:path";
import { find } from "../actors/retrieval/find.ts";
import { searchDocuments } from "../actors/tools/search-documents.ts";
import { declarationOf } from "../actors/tools/tool.ts";
import type { Config, RoleName } from "../schemas/config.ts";
import { connectBus } from "./bus/connect.ts";
import { openLink } from "./bus/link.ts";
import { ensureStreams } from "./bus/streams.ts";
import { loadConfiguration } from "./config/load.ts";
import type { Logger } from "./log.ts";
import { isSetUp } from "./models/endpoint.ts";
import { configFolder } from "./paths.ts";
import type { Parts } from "./roles/parts.ts";
import type { Running } from "./run.ts";
import { openEmbeddings } from "./search/embeddings.ts";
import { openSqliteSearch } from "./search/sqlite-search.ts";
import { storedConfigurations } from "./stores/configurations.ts";
import { openSqliteDocuments } from "./stores/sqlite-documents.ts";

export type Serving = Running & {
	/** Port of the gateway, when this process has that role. */
	port: number | undefined;
};

/** Runs roles in this process until stopped: opens what they need, starts them, and ends them in the order of §3. */
export async function serve(config: Config, roles: readonly RoleName[], logger: Logger): Promise<Serving> {
	const name = `${config.name || roles.join("+")}-${process.pid}`;
	const documents = openSqliteDocuments(join(config.data, "documents.db"));
	const link = openLink(await connectBus({ url: config.natsUrl, name, log: logger }));
	await ensureStreams(link.connection, config.logMaxAge);

	const embeddings = openEmbeddings();
	const search = openSqliteSearch({ folder: join(config.data, "search"), dimensions: embeddings.dimensions });
	const searchTool = searchDocuments(async ({ tenant, labels }, query, limit) => {
		const { ranked } = await find({ search, embeddings }, { tenant, labels, query, history: [] });
		return ranked.slice(0, limit).map(({ item }) => item);
	});
	const folder = config.config || configFolder;
	const loaded = await loadConfiguration(folder, isSetUp(config), [declarationOf(searchTool)]);
	const configurations = storedConfigurations(documents);
	await configurations.keep(loaded.bundle);
	const parts: Parts = {
		config,
		name,
		logger,
		documents,
		link,
		search,
		embeddings,
		searchTool,
		configurations,
		...loaded,
	};

	// A role's code is loaded by the processes that have it: a gateway needs no tokenizer, an actor no doors.
	const running: Running[] = [];
	const gateway = roles.includes("gateway")
		? await (await import("./roles/gateway.ts")).startGatewayRole(parts)
		: undefined;
	// What faces users goes first.
	if (gateway) running.push(gateway);
	const actors = roles.filter((role) => role !== "gateway");
	if (actors.length > 0) running.push((await import("./roles/actors.ts")).startActors(actors, parts));
	return {
		port: gateway?.port,
		async stop() {
			for (const part of running) await part.stop();
			for (const part of [search, embeddings, link, documents]) await part.close();
		},
	};
}
