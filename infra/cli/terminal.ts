import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Puts a style around a text, or gives the text as it is where nobody sees colours. */
export type Paint = (style: Style, text: string) => string;

/** For files, pipes and tests. */
export const plain: Paint = (_, text) => text;

/** Colours on a terminal only; `NO_COLOR` and `FORCE_COLOR` are heeded. */
export const painter =
	(stream: NodeJS.WriteStream): Paint =>
	(style, text) =>
		styleText(style, text, { stream });

export const print = (text: string): void => void process.stdout.write(text);
export const printError = (text: string): void => void process.stderr.write(text);

const isControl = (code: number): boolean =>
	(code < 0x20 && code !== 0x0a && code !== 0x09) || (code >= 0x7f && code <= 0x9f);

/** Without control characters but line ends and tabs: nothing that others wrote can move the cursor or write to the clipboard. */
export function printable(text: string): string {
	return [...text].filter((character) => !isControl(character.codePointAt(0) ?? 0)).join("");
}

/** On one line, and at most `length` characters of it. */
export function clip(text: string, length: number): string {
	const line = printable(text).replace(/\s+/g, " ").trim();
	return line.length > length ? `${line.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, "")}…` : line;
}

/** `12 ms`, `1.25 s`, `3 min 5 s`. */
export function duration(ms: number): string {
	if (ms < 1_000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1_000).toFixed(2)} s`;
	return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** `1 file`, `2 files`. */
export const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** Micro-units of a currency as a price, with as many digits as it needs. */
export function price(micros: number, currency: string): string {
	const digits = (micros / 1_000_000).toFixed(6).replace(/(\.\d\d\d*?)0+$/, "$1");
	return currency === "USD" ? `$${digits}` : `${digits} ${currency}`;
}

/** Rows in columns of equal width; the last column runs free. */
export function table(rows: readonly (readonly string[])[]): string {
	const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
	const line = (row: readonly string[]) =>
		row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  ");
	return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}
