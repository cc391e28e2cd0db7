import { type Command, type OptionDeclarations, PROGRAM } from "./command.ts";

/** What `<command> --help` prints. */
export function usageOf({ name, summary, details, parameters, options, example }: Command): string {
	const words = [PROGRAM, name, ...parameters.map((parameter) => `<${parameter}>`)];
	if (Object.keys(options).length > 0) words.push("[options]");
	const parts = [words.join(" "), details ? `${summary}\n${details}` : summary];
	if (Object.keys(options).length > 0) parts.push(`Options:\n${optionTable(options)}`);
	parts.push(`Example:\n  ${PROGRAM} ${example}`);
	return `${parts.join("\n\n")}\n`;
}

function optionTable(options: OptionDeclarations): string {
	const rows = Object.entries(options).map(([name, { value, multiple, description }]) => ({
		left: `--${name}${value ? ` ${value}` : ""}${multiple ? " …" : ""}`,
		description,
	}));
	return columns(rows.map(({ left, description }) => [left, description]));
}

/** What `help` prints. */
export function overview(commands: readonly Command[]): string {
	const rows = commands.map(({ name, parameters, summary }): [string, string] => [
		[name, ...parameters.map((parameter) => `<${parameter}>`)].join(" "),
		summary,
	]);
	return `${PROGRAM} <command> [options]\n\n${columns(rows)}\n\nMore about one: ${PROGRAM} <command> --help\n`;
}

function columns(rows: readonly [string, string][]): string {
	const width = Math.max(...rows.map(([left]) => left.length));
	return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
