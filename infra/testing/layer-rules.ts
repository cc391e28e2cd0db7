import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix } from "node:path";

/** Top folder of the repository. */
export const root = join(import.meta.dirname, "../..");

/** A TypeScript file; its path is from the top of the repository, with slashes. */
export type Source = { path: string; text: string };
type Import = { specifier: string; typeOnly: boolean; names: string };
/** A rule says what is wrong with a file, nothing when all is well. */
export type Rule = (source: Source) => string[];

/** Statements begin their line, as the formatter leaves them; a dynamic import may stand anywhere. */
const STATEMENT = /^(?:import|export)\b(\s+type\b)?(?:([^"'`;]*?)\bfrom)?\s*["']([^"'\n]+)["']/gm;
const PASSED_ON = /^export\b[^"'`;]*?\bfrom\s*["'][^"'\n]+["'];?/gm;
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
const DYNAMIC = /\b(?:import|require|getBuiltinModule)\(\s*(?:["'`]([^"'`\n]+)["'`]\s*[,)])?/g;

/** What a file imports, passes on or loads; a specifier that is computed reads `(computed)`. */
export function importsOf(source: Source): Import[] {
	const text = source.text.replaceAll(COMMENT, "");
	const statements = [...text.matchAll(STATEMENT)].map(([, type, names = "", specifier = ""]) => ({
		specifier,
		typeOnly: type !== undefined,
		names: names.trim(),
	}));
	const calls = [...text.matchAll(DYNAMIC)].map(([, specifier = "(computed)"]) => ({
		specifier,
		typeOnly: false,
		names: "*",
	}));
	return [...statements, ...calls];
}

const isTest = (path: string) => /\.(test|contract)\.ts$|\/testing\//.test(path);
const isDecider = (path: string) => path.startsWith("actors/orchestration/") && !isTest(path);

/** What an import reaches: a path from the root of the repository, or the name of a package. */
function targetOf(path: string, specifier: string): string {
	return specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier;
}

const under = (target: string, ...names: string[]) =>
	names.some((name) => target === name || target.startsWith(`${name}/`));

/** What a file that is no test may import, by where it stands. */
function mayImport(path: string, { specifier, typeOnly, names }: Import): boolean {
	const target = targetOf(path, specifier);
	const [folder = "", actor = ""] = path.split("/");
	switch (folder) {
		case "schemas":
			return target === "zod" || under(target, "schemas");
		case "subjects":
			return target === "node:crypto" || under(target, "schemas", "subjects");
		case "actors":
			return (
				["zod", "node:crypto", "actors/actor.ts"].includes(target) ||
				under(target, "schemas", "subjects", "gpt-tokenizer") ||
				(path !== "actors/actor.ts" && under(target, `actors/${actor}`))
			);
		case "gateway":
			return (
				["zod", "canonicalize", "node:crypto", "node:timers/promises"].includes(target) ||
				// A table of words, not a connection.
				(target === "node:http" && names === "{ STATUS_CODES }") ||
				under(target, "schemas", "subjects", "gateway") ||
				(target === "uWebSockets.js" && typeOnly && /^gateway\/uws[a-z-]*\.ts$/.test(path))
			);
		default:
			return folder === "infra";
	}
}

export const layers: Rule = (source) =>
	isTest(source.path)
		? []
		: importsOf(source)
				.filter((imported) => !mayImport(source.path, imported))
				.map(({ specifier }) => `${source.path} may not import ${specifier}`);

/** What runs for users never leans on what only tests and measurements have. */
export const noTestParts: Rule = (source) =>
	isTest(source.path) || /^infra\/(bench|chaos|sim|eval)\//.test(source.path)
		? []
		: importsOf(source)
				.filter(({ specifier }) => isTest(targetOf(source.path, specifier)))
				.map(({ specifier }) => `${source.path} may not import ${specifier}, a part of tests`);

const manifest: { dependencies: Record<string, string>; devDependencies: Record<string, string> } = JSON.parse(
	readFileSync(join(root, "package.json"), "utf8"),
);

export const packages: Rule = (source) => {
	const known = Object.keys(
		isTest(source.path) || source.path.endsWith(".config.ts")
			? { ...manifest.dependencies, ...manifest.devDependencies }
			: manifest.dependencies,
	);
	return importsOf(source)
		.map(({ specifier }) => specifier)
		.filter((specifier) => !specifier.startsWith(".") && specifier !== "(computed)")
		.filter((specifier) =>
			specifier.startsWith("node:")
				? !builtinModules.includes(specifier.slice(5)) && !builtinModules.includes(specifier)
				: !under(specifier, ...known),
		)
		.map((specifier) => `${source.path} imports ${specifier}, which package.json does not give it`);
};

export const noBarrels: Rule = ({ path, text }) => {
	const code = text.replaceAll(COMMENT, "");
	const own = code.replaceAll(PASSED_ON, "").replaceAll(STATEMENT, "").replaceAll(";", "").trim();
	const found =
		/(^|\/)index\.ts$/.test(path) || /^export \*/m.test(code) || (own === "" && code.search(PASSED_ON) >= 0);
	return found ? [`${path} is a barrel: import each name from the file that declares it`] : [];
};

export const noDefaults: Rule = ({ path, text }) =>
	path !== "infra/testing/vitest.config.ts" && /^export (default\b|\{[^}]*\bas default\b)/m.test(text)
		? [`${path} has a default export: give it a name`]
		: [];

export const kebabCase: Rule = ({ path }) =>
	path.split("/").every((name) => /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|contract|config))?(\.ts)?$/.test(name))
		? []
		: [`${path} is expected to be kebab-case`];

/** What a decider may not know of: clock, chance, the process and the world */
const IMPURE =
	/\b(Date\.now|new Date|Math\.random|random(UUID|Bytes|Int)|getRandomValues|set(Timeout|Interval|Immediate)|queueMicrotask|performance|console|process|fetch|async|await)\b/g;

export const pureDeciders: Rule = ({ path, text }) =>
	isDecider(path) ? [...text.matchAll(IMPURE)].map(([word]) => `${path} mentions ${word}: a decider is pure`) : [];
