import type { Broken } from "./ingest-files.ts";
import type { Taken } from "./ingest-upload.ts";
import { clip, counted, print, printError, table } from "./terminal.ts";

export type Counts = { taken: number; unchanged: number; removed: number; failed: number; passages: number };

/** `3 taken in, 1 unchanged, 1 failed · 42 passages · 1.2 s`; what did not happen and is not of interest is left out. */
export function summaryLine({ taken, unchanged, removed, failed, passages }: Counts, ms: number): string {
	const counts = [
		`${taken} taken in`,
		`${unchanged} unchanged`,
		...(removed > 0 ? [`${removed} removed`] : []),
		`${failed} failed`,
	];
	return `${counts.join(", ")} · ${counted(passages, "passage")} · ${(ms / 1_000).toFixed(1)} s\n`;
}

/** The broken files and why, for the end of a run. */
export const brokenTable = (broken: readonly Broken[]): string =>
	table(broken.map(({ name, reason }) => [`  ${name}`, clip(reason, 200)]));

export const resultLine = (name: string, taken: Taken): string => {
	if (taken.outcome === "failed") return `failed     ${name}: ${clip(taken.reason, 200)}\n`;
	if (taken.outcome === "unchanged") return `unchanged  ${name}\n`;
	return `taken in   ${name} (${counted(taken.passages, "passage")})\n`;
};

const BAR_WIDTH = 24;

/** `[████░░░░] 3/9 name`, cut to the width of the terminal. */
export function bar(done: number, total: number, name: string, columns: number): string {
	const filled = Math.round((total === 0 ? 1 : Math.min(1, done / total)) * BAR_WIDTH);
	const head = `[${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)}] ${Math.floor(done)}/${total} `;
	return head + clip(name, Math.max(1, columns - head.length - 1));
}

export type Progress = {
	/** Part of a file that is done, 0 to 1. */
	part(name: string, part: number): void;
	finished(name: string, taken: Taken): void;
	end(): void;
};

/** A bar on a terminal, a line per file otherwise. */
export function openProgress(total: number): Progress {
	if (!process.stderr.isTTY || !process.stdout.isTTY) {
		return { part() {}, finished: (name, taken) => print(resultLine(name, taken)), end() {} };
	}
	const parts = new Map<string, number>();
	let finished = 0;
	const clear = "\r\u001b[K";
	const draw = (name: string) => {
		const done = finished + [...parts.values()].reduce((sum, part) => sum + part, 0);
		printError(`${clear}${bar(done, total, name, process.stderr.columns)}`);
	};
	return {
		part(name, part) {
			// A file that is all embedded is still to be indexed.
			parts.set(name, Math.min(part, 0.99));
			draw(name);
		},
		finished(name) {
			parts.delete(name);
			finished++;
			draw(name);
		},
		end: () => printError(clear),
	};
}
