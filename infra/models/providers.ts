import type { Provider } from "../../actors/inference/provider.ts";
import type { ModelsFile } from "../../schemas/models.ts";
import { type Endpoint, isSetUp } from "./endpoint.ts";
import { extractiveProvider } from "./extractive-provider.ts";
import { openaiProvider } from "./openai-provider.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { modelConnections } from "./undici-fetch.ts";

const OPENAI = "https://api.openai.com/v1";

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
					openaiProvider({
						name,
						baseUrl: endpoint.openaiBaseUrl || OPENAI,
						apiKey: endpoint.openaiKey || "none",
						connections,
					}),
		);
	}
	return { find: (name) => providers.get(name), close: () => connections.close() };
}
