import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, Report } from "./bench.ts";
import { openStage, type Stage } from "./stage.ts";
import { spread } from "./statistics.ts";
import { table } from "./table.ts";

const GOAL_MB = 400;
/** Between two looks at an idle server. */
const PAUSE_MS = 1_000;

/** Prints what the server's processes hold; gives the sum in MB. */
export async function reportMemory(stage: Stage, when: string, report: Report): Promise<number> {
	const memory = await stage.memory();
	const sum = Object.values(memory).reduce((a, b) => a + b, 0);
	report.raw({ phase: "memory", when, ...memory, sum });
	report.print(`\nMemory of the server in MB, ${when}:`);
	report.print(table(["", ...Object.keys(memory), "sum"], [["", ...Object.values(memory), sum]]));
	return sum;
}

export const memory: Bench = {
	goal: `≤ ${GOAL_MB} MB in all processes together, idle after the first start`,
	async run({ trials }, report) {
		await using stage = await openStage({ sockets: 1 });
		const sums: number[] = [];
		for (let trial = 1; trial <= trials; trial++) {
			await sleep(PAUSE_MS);
			sums.push(await reportMemory(stage, `idle, look ${trial}`, report));
		}
		const value = Math.round(spread(sums).median);
		return { value, unit: "MB", pass: value <= GOAL_MB };
	},
};
