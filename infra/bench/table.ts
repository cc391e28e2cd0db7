type Cell = string | number;

/** Lines of a table: numbers with two digits at most, the first column to the left, all others to the right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
	const lines = [head, ...rows.map((row) => row.map(show))];
	const width = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
	return lines
		.map((line) =>
			line
				.map((text, column) => (column === 0 ? text.padEnd(width[column] ?? 0) : text.padStart(width[column] ?? 0)))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}

/** A number as people read it: three significant digits below 100, whole above. */
export const show = (value: Cell): string =>
	typeof value === "string" ? value : Math.abs(value) < 100 ? value.toFixed(2) : String(Math.round(value));
