import type { Config } from "../../schemas/config.ts";

/** Where the provider is and how to sign in there; both from the environment, never from a file of the configuration. */
export type Endpoint = Pick<Config, "openaiBaseUrl" | "openaiKey">;

/** A provider of a kind can be called in this environment. */
export const isSetUp =
	({ openaiBaseUrl, openaiKey }: Endpoint) =>
	(kind: string): boolean =>
		kind === "extractive" || (kind === "openai" && (openaiBaseUrl !== "" || openaiKey !== ""));
