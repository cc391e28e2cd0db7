import { expect, test } from "vitest";
import type { z } from "zod";
import { explain } from "./explain.ts";
import { modelsFile, resolveChain } from "./models.ts";

const price = { input: 0.15, cache_read: 0.075, cache_write: 0, output: 0.6 };
const written = {
	providers: { openai: { kind: "openai" }, local: { kind: "extractive", words_per_second: 200 } },
	models: {
		large: { provider: "openai", model: "large-1", context_tokens: 128_000, tools: true, price },
		small: {
			provider: "openai",
			model: "small-1",
			context_tokens: 16_000,
			tools: true,
			price: { ...price, input: 0.05 },
		},
		quoting: {
			provider: "local",
			model: "extractive",
			context_tokens: 8_000,
			tools: false,
			price: { ...price, input: 0 },
		},
	},
	chains: { default: { links: ["large", "small"], otherwise: "quoting" }, hosted: { links: ["large", "small"] } },
	limits: { connect_ms: 1, headers_ms: 2, first_content_ms: 3, between_contents_ms: 4 },
} satisfies z.input<typeof modelsFile>;

function faultOf(value: unknown): string {
	const parsed = modelsFile.safeParse(value);
	if (parsed.success) throw new Error("a fault was expected, the file is valid");
	return explain(parsed.error, value);
}

const withModel = (changes: Record<string, unknown>) => ({
	...written,
	models: { ...written.models, small: { ...written.models.small, ...changes } },
});

test("a whole file is read as it is written", () => {
	expect(modelsFile.parse(written)).toEqual(written);
});

test("[I1] an unknown price is an error at load, never 0", () => {
	expect(faultOf(withModel({ price: undefined }))).toBe(
		'"models.small.price" is expected to be an object, got nothing',
	);
	for (const kind of Object.keys(price)) {
		expect(faultOf(withModel({ price: { ...price, [kind]: undefined } }))).toBe(
			`"models.small.price.${kind}" is expected to be a number, got nothing`,
		);
	}
	expect(faultOf(withModel({ price: { ...price, output: -1 } }))).toBe(
		'"models.small.price.output" is expected to be at least 0, got a number (-1)',
	);
	expect(faultOf(withModel({ price: { ...price, audio: 1 } }))).toBe('unknown field "audio" in "models.small.price"');
});

test("[I1] a chain that names a model that is not in the file is an error", () => {
	const faults = [{ links: ["large", "huge"] }, { links: ["large"], otherwise: "huge" }];
	for (const chain of faults) {
		expect(faultOf({ ...written, chains: { default: chain } })).toBe(
			'"chains.default" is expected to be names out of large, small, quoting, got "huge"',
		);
	}
	expect(faultOf({ ...written, chains: { default: { links: [] } } })).toBe(
		'"chains.default.links" is expected to be a non-empty list, got a list of 0',
	);
});

test("[I1] a model of a provider that is not in the file is an error", () => {
	expect(faultOf(withModel({ provider: "nobody" }))).toBe(
		'"models.small.provider" is expected to be one of openai, local, got a string ("nobody")',
	);
	expect(faultOf({ ...written, providers: { ...written.providers, local: { kind: "magic" } } })).toBe(
		'"providers.local.kind" is expected to be one of "openai", "extractive", got a string ("magic")',
	);
});

test("a model's capabilities and every limit have to be said", () => {
	expect(faultOf(withModel({ tools: undefined }))).toMatch(/"models\.small\.tools" .* got nothing/);
	expect(faultOf(withModel({ context_tokens: 0 }))).toMatch(/"models\.small\.context_tokens" .* more than 0, got/);
	expect(faultOf({ ...written, limits: { ...written.limits, headers_ms: undefined } })).toMatch(/"limits\.headers_ms"/);
});

const file = modelsFile.parse(written);

const large = { provider: "openai", model: "large-1", price };
const small = { provider: "openai", model: "small-1", price: { ...price, input: 0.05 } };
const quoting = { provider: "local", model: "extractive", price: { ...price, input: 0 } };

test("[I1] a chain keeps its order; the smallest context and the poorest capability hold for all of it", () => {
	expect(resolveChain(file, "default", () => true)).toEqual({
		links: [large, small],
		context_tokens: 16_000,
		tools: true,
	});
	const mixed = { ...file, chains: { mixed: { links: ["quoting", "large"] } } };
	expect(resolveChain(mixed, "mixed", () => true)).toEqual({
		links: [quoting, large],
		context_tokens: 8_000,
		tools: false,
	});
});

test("[I1] a model whose provider is not set up is left out, and its limits with it", () => {
	const mixed = { ...file, chains: { mixed: { links: ["quoting", "large"] } } };
	expect(resolveChain(mixed, "mixed", (provider) => provider === "openai")).toEqual({
		links: [large],
		context_tokens: 128_000,
		tools: true,
	});
});

test("[I1] without any provider of its links a chain is served by its last resort, and only then", () => {
	expect(resolveChain(file, "default", (provider) => provider === "local")).toEqual({
		links: [quoting],
		context_tokens: 8_000,
		tools: false,
	});
});

test("a chain of which nothing is left is an error that says what to do", () => {
	const help = /chain "\w+" has no model whose provider is set up\. Set OPENAI_API_KEY or OPENAI_BASE_URL/;
	expect(() => resolveChain(file, "hosted", (provider) => provider === "local")).toThrow(help);
	expect(() => resolveChain(file, "default", () => false)).toThrow(help);
});

test("a chain that nobody declared is an error that names those there are", () => {
	expect(() => resolveChain(file, "nameless", () => true)).toThrow(
		'a chain "nameless" is expected, there are default, hosted',
	);
});
