import { parseArgs } from "node:util";
import { nearest } from "./nearest.ts";

/** How a command is begun at the prompt of a shell; stands in front of every usage and example. */
export const PROGRAM = "npm run -s cli --";

export type OptionDeclaration = {
	type: "string" | "boolean";
	/** May be given more than once. */
	multiple?: true;
	/** What stands for its value in the usage. */
	value?: string;
	description: string;
};
export type OptionDeclarations = Readonly<Record<string, OptionDeclaration>>;

type ValueOf<O extends OptionDeclaration> = O extends { type: "boolean" }
	? boolean
	: O extends { multiple: true }
		? readonly string[]
		: string | undefined;
export type Values<O extends OptionDeclarations> = { readonly [K in keyof O]: ValueOf<O[K]> };

type Declaration<O extends OptionDeclarations> = {
	/** One word, or two for a member of a family (`keys create`). */
	name: string;
	/** One line, for the list of all commands. */
	summary: string;
	/** What else somebody has to know who uses it. */
	details?: string;
	/** Names of its arguments; all are expected. */
	parameters: readonly string[];
	options: O;
	/** What follows the program's name in the example. */
	example: string;
};

export type Command = Omit<Declaration<OptionDeclarations>, "options"> & {
	options: OptionDeclarations;
	/** Reads its arguments and does its work; resolves to the exit code. Rejects with `Failure`. */
	start(words: readonly string[]): Promise<number>;
};

/** An end with a message for the person at the terminal, who needs no stack trace. */
export type Failure = Error & { exitCode: number };

export const failure = (message: string, exitCode = 1): Failure => Object.assign(new Error(message), { exitCode });

export const isFailure = (problem: unknown): problem is Failure => problem instanceof Error && "exitCode" in problem;

/** The exit code of a line that was not understood. */
export const MISUSE = 2;

/** Declares a command once: parsing, usage and the types of its values come from the declaration. */
export function command<const O extends OptionDeclarations>(
	declared: Declaration<O> & {
		/** Resolves to the exit code. */
		run(values: Values<O>, positionals: readonly string[]): Promise<number>;
	},
): Command {
	const { run, ...rest } = declared;
	return {
		...rest,
		async start(words) {
			const { values, positionals } = readArguments(rest, words);
			return run(values, positionals);
		},
	};
}

function readArguments<O extends OptionDeclarations>(
	{ name, parameters, options }: Declaration<O>,
	words: readonly string[],
): { values: Values<O>; positionals: string[] } {
	const misuse = (message: string) => failure(`${name}: ${message}\nSee ${PROGRAM} ${name} --help`, MISUSE);
	const known: OptionDeclarations = options;
	const parsed = parseArgs({
		args: [...words],
		options: Object.fromEntries(Object.entries(known).map(([option, { type }]) => [option, { type }])),
		allowPositionals: true,
		// Its own messages name neither what is expected nor what is near.
		strict: false,
		tokens: true,
	});
	const values: Record<string, unknown> = Object.fromEntries(
		Object.entries(known).map(([option, { type, multiple }]) => [
			option,
			multiple ? [] : type === "boolean" ? false : undefined,
		]),
	);
	for (const token of parsed.tokens) {
		if (token.kind !== "option") continue;
		const option = known[token.name];
		if (!option) throw misuse(unknownOption(token.rawName, Object.keys(known)));
		if (option.type === "boolean") {
			if (token.value !== undefined) throw misuse(`--${token.name} takes no value, got "${token.value}"`);
			values[token.name] = true;
			continue;
		}
		if (!token.value || (!token.inlineValue && token.value.startsWith("-"))) {
			const wanted = `--${token.name} ${option.value ?? "TEXT"}`;
			const got = token.value ? `${token.value} (a value that begins with - is written --${token.name}=-…)` : "none";
			throw misuse(`a value is expected, as in ${wanted}, got ${got}`);
		}
		values[token.name] = option.multiple ? [...(values[token.name] as string[]), token.value] : token.value;
	}
	const { positionals } = parsed;
	if (positionals.length !== parameters.length) throw misuse(wrongCount(parameters, positionals));
	return { values: values as Values<O>, positionals };
}

function unknownOption(given: string, known: readonly string[]): string {
	const names = known.map((name) => `--${name}`);
	const near = nearest(given, names);
	const expected = names.length === 0 ? "it takes no options" : `expected are ${names.join(", ")}`;
	return `unknown option ${given}${near ? ` (did you mean ${near}?)` : ""}; ${expected}`;
}

function wrongCount(parameters: readonly string[], given: readonly string[]): string {
	const expected = parameters.length === 0 ? "no argument" : parameters.map((name) => `<${name}>`).join(" ");
	return `${expected} is expected, got ${given.length === 0 ? "nothing" : given.map((word) => `"${word}"`).join(" ")}`;
}
