import { isFailure, MISUSE, PROGRAM } from "./command.ts";
import { commands } from "./commands.ts";
import { nearest } from "./nearest.ts";
import { print, printError } from "./terminal.ts";
import { overview, usageOf } from "./usage.ts";

/** Finds the command that a line begins with and runs it; resolves to the exit code. */
async function main(words: readonly string[]): Promise<number> {
	const asksForHelp = words[0] === "help" || words.includes("--help") || words.includes("-h");
	const line = words[0] === "help" ? words.slice(1) : words;
	const said = line.filter((word) => !word.startsWith("-"));
	const command = commands.find(({ name }) => name.split(" ").every((word, at) => said[at] === word));
	if (asksForHelp && command) print(usageOf(command));
	else if (asksForHelp && said.length === 0) print(overview(commands));
	else if (command && startsWith(line, command.name)) return command.start(line.slice(command.name.split(" ").length));
	else {
		const family = commands.filter(({ name }) => name.startsWith(`${said[0]} `));
		if (family.length > 0 && (asksForHelp || said.length === 1)) print(family.map(usageOf).join("\n"));
		else printError(said.length === 0 ? overview(commands) : unknown(said, family.length > 0));
		return asksForHelp && family.length > 0 ? 0 : MISUSE;
	}
	return 0;
}

const startsWith = (line: readonly string[], name: string): boolean =>
	name.split(" ").every((word, at) => line[at] === word);

function unknown(said: readonly string[], isFamily: boolean): string {
	const given = said.slice(0, isFamily ? 2 : 1).join(" ");
	const near = nearest(
		given,
		commands.map(({ name }) => name),
	);
	const names = commands.map(({ name }) => name).join(", ");
	return `unknown command "${given}"${near ? ` (did you mean "${near}"?)` : ""}; expected is one of ${names}, help\nSee ${PROGRAM} help\n`;
}

// The reader of a pipe has had enough (`| head`): nothing is left to do, and nothing went wrong.
process.stdout.on("error", (problem: NodeJS.ErrnoException) => {
	if (problem.code === "EPIPE") process.exit(0);
	throw problem;
});

try {
	process.exitCode = await main(process.argv.slice(2));
} catch (problem) {
	if (isFailure(problem)) {
		printError(`${problem.message}\n`);
		process.exitCode = problem.exitCode;
	} else {
		printError(`${problem instanceof Error ? problem.message : String(problem)}\n`);
		process.exitCode = 1;
	}
}
