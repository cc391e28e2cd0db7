import type { Piece } from "./answer-view.ts";
import { painter, print, printable, printError } from "./terminal.ts";

/** Answers go to stdout as they are, lines about them to stderr; each note has a line of its own. */
export type ChatWriter = { write(pieces: readonly Piece[]): void; note(text: string): void; endAnswer(): void };

export function openChatWriter(): ChatWriter {
	const paint = painter(process.stderr);
	const onTerminal = process.stdout.isTTY;
	let isMidLine = false;

	function endLine(): void {
		if (isMidLine) print("\n");
		isMidLine = false;
	}
	function write(pieces: readonly Piece[]): void {
		for (const piece of pieces) {
			const text = onTerminal || piece.kind === "note" ? printable(piece.text) : piece.text;
			if (piece.kind === "answer") {
				print(text);
				if (text !== "") isMidLine = !text.endsWith("\n");
				continue;
			}
			endLine();
			const style = { quiet: "dim", plain: "reset", alert: "yellow" } as const;
			printError(`${paint(style[piece.tone], text)}\n`);
		}
	}
	return {
		write,
		note: (text) => write([{ kind: "note", text, tone: "quiet" }]),
		endAnswer: endLine,
	};
}
