import { z } from "zod";
import { routes } from "./events/request.ts";
import type { Chain } from "./models.ts";
import { token } from "./tokens.ts";

const rule = z.strictObject({
	route: z.enum(routes),
	/** A regular expression over the input, without regard to case. */
	pattern: z.string().refine((text) => {
		try {
			return Boolean(new RegExp(text, "iu"));
		} catch {
			return false;
		}
	}, "a regular expression"),
	weight: z.number().positive(),
});

const routeRow = z.strictObject({
	/** `required`: no model call without evidence. `optional`: an answer with a notice. */
	evidence: z.enum(["none", "optional", "required"]).default("none"),
	/** Passages that the reranker scores below are not evidence. */
	min_score: z.number().min(0).max(1).default(0.2),
	/** Evidence ingested longer ago than this counts as missing. */
	max_age_hours: z.number().positive().optional(),
	/** Tools on offer; the loop exists on `task` only. */
	tools: z.array(z.strictObject({ name: z.string(), required: z.boolean() })).default([]),
	/** Model calls of the loop, at most. */
	steps: z.int().min(1).max(16).default(1),
});
export type RouteRow = z.infer<typeof routeRow>;

const validator = z.discriminatedUnion("kind", [
	z.strictObject({ kind: z.literal("not_empty") }),
	z.strictObject({ kind: z.literal("length"), max_characters: z.int().positive() }),
	/** Every mark names a packed passage; with `required`, an answer from evidence carries at least one. */
	z.strictObject({ kind: z.literal("citations"), required: z.boolean() }),
]);
export type ValidatorRule = z.infer<typeof validator>;

/** `features/<name>/feature.yaml`: one product surface, declared. */
export const featureFile = z
	.strictObject({
		name: token,
		description: z.string(),
		/** Roles of which a caller needs one; empty admits every principal. */
		roles: z.array(z.string()).default([]),
		deadline_ms: z.int().positive(),
		chain: z.string(),
		attempts: z.int().min(1).max(8),
		/** `client` holds the history itself and sends it; `server` is the session store. `none` takes no turn. */
		session: z.strictObject({ model: z.enum(["server", "client", "none"]) }),
		classification: z.strictObject({
			/** Route of an input that no rule tells apart by the margin. */
			fallback: z.enum(routes),
			margin: z.number().nonnegative(),
			rules: z.array(rule),
		}),
		routes: z.partialRecord(z.enum(routes), routeRow),
		/** Tokens per part of the context. */
		budget: z.strictObject({
			window: z.int().nonnegative(),
			evidence: z.int().nonnegative(),
			input: z.int().positive(),
			reply: z.int().positive(),
		}),
		validators: z.array(validator),
		/** Words that the client reads. */
		notices: z.strictObject({
			refused: z.string(),
			no_evidence: z.string(),
			retrieval_down: z.string(),
			without_documents: z.string(),
			model_fallback: z.string(),
			tool_down: z.string(),
		}),
	})
	.superRefine((file, context) => {
		for (const route of [file.classification.fallback, ...file.classification.rules.map((rule) => rule.route)]) {
			if (!file.routes[route])
				context.addIssue({
					code: "custom",
					path: ["routes", route],
					message: "a row, since the classification names it",
				});
		}
	});
export type FeatureFile = z.infer<typeof featureFile>;

/** A feature as it runs: its file, its prompt, and the chain as it stands in this environment. */
export type Feature = FeatureFile & { prompt: string; prompt_version: string; models: Chain };

/** Everything that decisions depend on, under one hash (L15). Holds no credentials. */
export type Bundle = { sha256: string; features: Readonly<Record<string, Feature>>; tools: readonly ToolDeclaration[] };

/** What orchestration knows of a tool: how to offer it and who may use it. The tools actor has the code. */
export type ToolDeclaration = {
	name: string;
	description: string;
	/** JSON Schema of the arguments. */
	parameters: Record<string, unknown>;
	/** Roles of which a caller needs one; empty admits every principal. */
	roles: readonly string[];
	/** Features that may use it; empty means all. */
	features: readonly string[];
};

/** May a caller with these roles use the tool in this feature? */
export const mayUse = (
	tool: Pick<ToolDeclaration, "roles" | "features">,
	feature: string,
	roles: readonly string[],
): boolean =>
	(tool.roles.length === 0 || tool.roles.some((role) => roles.includes(role))) &&
	(tool.features.length === 0 || tool.features.includes(feature));
