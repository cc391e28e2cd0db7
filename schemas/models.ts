import { z } from "zod";
import { type ChainLink, chainLink } from "./events/inference.ts";

const provider = z.discriminatedUnion("kind", [
	/** Any server that speaks OpenAI chat completions; address and key come from the environment. */
	z.strictObject({ kind: z.literal("openai") }),
	/** The local extractive model: quotes evidence, is no language model. */
	z.strictObject({ kind: z.literal("extractive"), words_per_second: z.number().nonnegative() }),
]);

const model = z.strictObject({
	provider: z.string(),
	model: z.string(),
	/** Tokens that prompt and answer may have together. */
	context_tokens: z.int().positive(),
	tools: z.boolean(),
	/** USD per million tokens, which is micro-dollars per token. Every class has its price: an unknown one is an error, never 0. */
	price: chainLink.shape.price,
});

/** `models.yaml`: providers, models with prices and capabilities, and the chains that features name (I1). */
export const modelsFile = z
	.strictObject({
		providers: z.record(z.string(), provider),
		models: z.record(z.string(), model),
		/** Models in order; one whose provider is not set up is left out, and `otherwise` serves when none is left. */
		chains: z.record(
			z.string(),
			z.strictObject({ links: z.array(z.string()).min(1), otherwise: z.string().optional() }),
		),
		/** Milliseconds per phase of a call (I3). */
		limits: z.strictObject({
			connect_ms: z.int().positive(),
			headers_ms: z.int().positive(),
			first_content_ms: z.int().positive(),
			between_contents_ms: z.int().positive(),
		}),
	})
	.superRefine((file, context) => {
		for (const [name, { provider: needed }] of Object.entries(file.models)) {
			if (!file.providers[needed])
				context.addIssue({
					code: "custom",
					path: ["models", name, "provider"],
					message: `one of ${Object.keys(file.providers).join(", ")}`,
				});
		}
		for (const [name, { links, otherwise }] of Object.entries(file.chains)) {
			for (const link of otherwise === undefined ? links : [...links, otherwise]) {
				if (!file.models[link]) {
					const message = `names out of ${Object.keys(file.models).join(", ")}, got "${link}"`;
					context.addIssue({ code: "custom", path: ["chains", name], message });
				}
			}
		}
	});
export type ModelsFile = z.infer<typeof modelsFile>;

/** A chain as it stands in this environment. */
export type Chain = { links: ChainLink[]; context_tokens: number; tools: boolean };

/** Resolves a chain to the links whose provider is set up; the smallest context and the poorest capability hold for all of them. */
export function resolveChain(file: ModelsFile, name: string, isSetUp: (provider: string) => boolean): Chain {
	const chain = file.chains[name];
	if (!chain)
		throw new Error(`models.yaml: a chain "${name}" is expected, there are ${Object.keys(file.chains).join(", ")}`);
	const ready = (id: string) => {
		const found = file.models[id];
		return found && isSetUp(found.provider) ? [found] : [];
	};
	const links = chain.links.flatMap(ready);
	const models = links.length > 0 || chain.otherwise === undefined ? links : ready(chain.otherwise);
	if (models.length === 0) {
		throw new Error(
			`models.yaml: chain "${name}" has no model whose provider is set up. Set OPENAI_API_KEY or OPENAI_BASE_URL, or give the chain a local model as \`otherwise\`.`,
		);
	}
	return {
		links: models.map(({ provider: at, model: called, price }) => ({ provider: at, model: called, price })),
		context_tokens: Math.min(...models.map(({ context_tokens }) => context_tokens)),
		tools: models.every(({ tools }) => tools),
	};
}
