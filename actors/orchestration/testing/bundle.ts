import type { Bundle, Feature, RouteRow } from "../../../schemas/feature.ts";

/** The route with tools. */
export const taskRow: RouteRow = {
	evidence: "none",
	min_score: 0.2,
	tools: [
		{ name: "look_up", required: false },
		{ name: "cancel_order", required: true },
		{ name: "refund", required: false },
	],
	steps: 3,
};

/** A support desk: answers from its handbook, looks orders up and cancels them. */
export const desk: Feature = {
	name: "desk",
	description: "Questions about the handbook and about orders",
	roles: [],
	deadline_ms: 30_000,
	chain: "chat",
	attempts: 3,
	session: { model: "server" },
	classification: {
		fallback: "direct",
		margin: 1,
		rules: [
			{ route: "grounded", pattern: "handbook|policy", weight: 2 },
			{ route: "task", pattern: "\\border\\b", weight: 2 },
			{ route: "refuse", pattern: "password", weight: 5 },
			{ route: "ingest", pattern: "^read in", weight: 5 },
		],
	},
	routes: {
		direct: { evidence: "none", min_score: 0.2, tools: [], steps: 1 },
		grounded: { evidence: "required", min_score: 0.2, max_age_hours: 24, tools: [], steps: 1 },
		task: taskRow,
		refuse: { evidence: "none", min_score: 0.2, tools: [], steps: 1 },
		ingest: { evidence: "none", min_score: 0.2, tools: [], steps: 1 },
	},
	budget: { window: 200, evidence: 300, input: 400, reply: 256 },
	validators: [{ kind: "not_empty" }, { kind: "length", max_characters: 2_000 }, { kind: "citations", required: true }],
	notices: {
		refused: "I cannot help with that.",
		no_evidence: "The handbook does not say.",
		retrieval_down: "The handbook cannot be searched now.",
		without_documents: "This answer does not rest on the handbook.",
		model_fallback: "A smaller model answers.",
		tool_down: "A tool did not work.",
	},
	prompt: "You answer for the support desk.",
	prompt_version: "p1",
	models: {
		links: [
			{ provider: "first", model: "large", price: { input: 2, cache_read: 1, cache_write: 2, output: 8 } },
			{ provider: "second", model: "small", price: { input: 1, cache_read: 0.5, cache_write: 1, output: 4 } },
		],
		context_tokens: 2_000,
		tools: true,
	},
};

const tool = (name: string, roles: string[]) => ({
	name,
	description: `Does ${name}`,
	parameters: { type: "object", properties: { order: { type: "string" } } },
	roles,
	features: [],
});

/** The configuration with another desk, or with the one above. */
export const bundleOf = (feature: Feature = desk): Bundle => ({
	sha256: "c1",
	features: { desk: feature },
	tools: [tool("look_up", []), tool("cancel_order", ["agent"]), tool("refund", ["manager"])],
});
