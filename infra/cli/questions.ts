import { createInterface } from "node:readline";

/** Questions as they are put: at a prompt on a terminal, otherwise one per line. Ends at the end of input, Ctrl-D, or Ctrl-C at the prompt. */
export function questions(input: NodeJS.ReadStream): AsyncGenerator<string> {
	return input.isTTY ? prompted(input) : lines(input);
}

async function* lines(input: NodeJS.ReadStream): AsyncGenerator<string> {
	for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
		if (line.trim() !== "") yield line;
	}
}

/** One reader per question: while an answer streams the terminal is in its ordinary mode, where Ctrl-C is a signal. */
async function* prompted(input: NodeJS.ReadStream): AsyncGenerator<string> {
	let history: string[] = [];
	for (;;) {
		const reader = createInterface({ input, output: process.stderr, history, prompt: "> " });
		reader.on("history", (lines) => {
			history = lines;
		});
		const line = await new Promise<string | undefined>((resolve) => {
			reader.on("line", resolve);
			reader.on("close", () => resolve(undefined));
			reader.on("SIGINT", () => reader.close());
			reader.prompt();
		});
		reader.close();
		if (line === undefined) {
			process.stderr.write("\n");
			return;
		}
		if (line.trim() !== "") yield line;
	}
}
