import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import type { z } from "zod";
import { explain } from "../../schemas/explain.ts";
import { type Bundle, type Feature, featureFile, type ToolDeclaration } from "../../schemas/feature.ts";
import { type ModelsFile, modelsFile, resolveChain } from "../../schemas/models.ts";

/** The configuration in force, and the models file that providers are made from. */
export type LoadedConfiguration = { bundle: Bundle; models: ModelsFile };

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/**
 * Loads `models.yaml` and every feature of a folder, by hash (L15). `isSetUp` says which providers have what they need in
 * this environment; the resolved chains are part of the hash, so that a replay sees the same ones. Throws, naming the file
 * and the first fault.
 */
export async function loadConfiguration(
	folder: string,
	isSetUp: (kind: string) => boolean,
	tools: readonly ToolDeclaration[],
): Promise<LoadedConfiguration> {
	const models = await readYaml(join(folder, "models.yaml"), modelsFile);
	const names = (await readdir(join(folder, "features"), { withFileTypes: true }))
		.filter((item) => item.isDirectory())
		.map(({ name }) => name);
	const features: Record<string, Feature> = {};
	for (const name of names.sort()) {
		const path = join(folder, "features", name, "feature.yaml");
		const file = await readYaml(path, featureFile);
		if (file.name !== name)
			throw new Error(`${path}: "name" is expected to be "${name}", as its folder is called, got "${file.name}"`);
		for (const { name: tool } of Object.values(file.routes).flatMap((row) => row?.tools ?? [])) {
			if (!tools.some((known) => known.name === tool)) {
				throw new Error(
					`${path}: tools are expected to be out of ${tools.map((known) => known.name).join(", ")}, got "${tool}"`,
				);
			}
		}
		const prompt = (await readFile(join(folder, "features", name, "prompt.md"), "utf8")).trim();
		const provider = (id: string) => isSetUp(models.providers[id]?.kind ?? "");
		features[name] = {
			...file,
			prompt,
			prompt_version: sha256(prompt).slice(0, 12),
			models: resolveChain(models, file.chain, provider),
		};
	}
	const content = { features, tools };
	return { models, bundle: { sha256: sha256(JSON.stringify(content)), ...content } };
}

async function readYaml<T extends z.ZodType>(path: string, schema: T): Promise<z.infer<T>> {
	const text = await readFile(path, "utf8").catch((problem: Error) => {
		throw new Error(`${path} is expected to be a readable file: ${problem.message}`);
	});
	const value: unknown = parse(text);
	const parsed = schema.safeParse(value);
	if (!parsed.success) throw new Error(`${path}: ${explain(parsed.error, value)}`);
	return parsed.data;
}
