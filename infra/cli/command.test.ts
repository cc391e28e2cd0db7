import { expect, test } from "vitest";
import { command, isFailure } from "./command.ts";
import { usageOf } from "./usage.ts";

let ran: unknown;
const greet = command({
	name: "greet",
	summary: "Says hello.",
	parameters: ["name"],
	options: {
		loud: { type: "boolean", description: "in capitals" },
		title: { type: "string", value: "T", description: "before the name" },
		also: { type: "string", multiple: true, value: "N", description: "another one" },
	},
	example: "greet Ada --loud",
	async run(values, positionals) {
		ran = { values, positionals };
		return 0;
	},
});

async function refusal(...words: string[]): Promise<string> {
	const problem = await greet.start(words).catch((thrown: unknown) => thrown);
	if (!isFailure(problem)) throw new Error(`a refusal is expected for ${words.join(" ")}`);
	expect(problem.exitCode).toBe(2);
	return problem.message;
}

test("a command gets its options by name, with a value for each that is absent", async () => {
	await greet.start(["Ada", "--also", "Bob", "--also=Cy"]);
	expect(ran).toEqual({ values: { loud: false, title: undefined, also: ["Bob", "Cy"] }, positionals: ["Ada"] });
});

test("a line that is not understood is answered with what was expected and what is near", async () => {
	expect(await refusal("Ada", "--lould")).toMatchInlineSnapshot(`
		"greet: unknown option --lould (did you mean --loud?); expected are --loud, --title, --also
		See npm run -s cli -- greet --help"
	`);
	expect(await refusal("Ada", "--title")).toContain("a value is expected, as in --title T, got none");
	expect(await refusal("Ada", "--title", "--loud")).toContain("got --loud");
	expect(await refusal("Ada", "--loud=yes")).toContain('--loud takes no value, got "yes"');
	expect(await refusal()).toContain("<name> is expected, got nothing");
	expect(await refusal("Ada", "Bob")).toContain('<name> is expected, got "Ada" "Bob"');
});

test("the usage comes from the declaration", () => {
	expect(usageOf(greet)).toMatchInlineSnapshot(`
		"npm run -s cli -- greet <name> [options]

		Says hello.

		Options:
		  --loud      in capitals
		  --title T   before the name
		  --also N …  another one

		Example:
		  npm run -s cli -- greet Ada --loud
		"
	`);
});
