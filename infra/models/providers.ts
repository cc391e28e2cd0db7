import type { Provider } from "../../actors/inference/provider.ts";
import type { ModelsFile } from "../../schemas/models.ts";
import { extractiveProvider } from "./extractive-provider.ts";
import { openaiProvider } from "./openai-provider.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { modelConnections } from "./undici-fetch.ts";

/** Where the provider is and how to sign in there; both from the environment, never from a file of the configuration. */
export type Endpoint = { baseUrl: string; apiKey: string };

const OPENAI = "https://api.openai.com/v1";

/** A provider of a kind can be called in this environment. */
export const isSetUp =
	({ baseUrl, apiKey }: Endpoint) =>
	(kind: string): boolean =>
		kind === "extractive" || (kind === "openai" && (baseUrl !== "" || apiKey !== ""));

/** The providers of the models file, by name. */
export function openProviders(
	models: ModelsFile,
	endpoint: Endpoint,
	tokenizer: Tokenizer,
): { find(name: string): Provider | undefined; close(): Promise<void> } {
	const connections = modelConnections();
	const providers = new Map<string, Provider>();
	for (const [name, provider] of Object.entries(models.providers)) {
		if (!isSetUp(endpoint)(provider.kind)) continue;
		providers.set(
			name,
			provider.kind === "extractive"
				? extractiveProvider({ countTokens: tokenizer.count, wordsPerSecond: provider.words_per_second })
				: // Servers without accounts still want the header.
					openaiProvider({ name, baseUrl: endpoint.baseUrl || OPENAI, apiKey: endpoint.apiKey || "none", connections }),
		);
	}
	return { find: (name) => providers.get(name), close: () => connections.close() };
}
