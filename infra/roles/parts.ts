import type { Tool } from "../../actors/tools/tool.ts";
import type { Config } from "../../schemas/config.ts";
import type { Link } from "../bus/link.ts";
import type { LoadedConfiguration } from "../config/load.ts";
import type { Logger } from "../log.ts";
import type { openEmbeddings } from "../search/embeddings.ts";
import type { openSqliteSearch } from "../search/sqlite-search.ts";
import type { Configurations } from "../stores/configurations.ts";
import type { Documents } from "../stores/documents.ts";

/** What every role of a process shares. */
export type Parts = {
	config: Config;
	/** Of this process, in logs and in the entries that it writes. */
	name: string;
	logger: Logger;
	documents: Documents;
	link: Link;
	search: ReturnType<typeof openSqliteSearch>;
	embeddings: ReturnType<typeof openEmbeddings>;
	searchTool: Tool;
	configurations: Configurations;
} & LoadedConfiguration;
