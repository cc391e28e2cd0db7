import type { Bench, Report, Verdict } from "./bench.ts";
import type { Job, Sample } from "./job.ts";
import { reportMemory } from "./memory.ts";
import { type CpuTimes, type Measured, openStage, type Stage } from "./stage.ts";
import { percentiles, spread, windows } from "./statistics.ts";
import { show, table } from "./table.ts";

const ANSWER = "It stays until somebody takes it.";
const GOAL_PER_SECOND = 1_000;
/** §12, per request on the node side: the log path 0.31, the provider's call 0.18, all else 0.3. */
const BUDGET_MS = 0.79;
const OPEN_SHARE = 0.8;
/** Long enough for every path to be compiled. */
const WARM_SECONDS = 6;
const FOLLOWS_PER_SOCKET = 64;
const HOT_SPOTS = 25;

export const throughput: Bench = {
	goal: `≥ ${GOAL_PER_SECOND} complete requests/s at 64 in flight with a 0 ms provider, no error, every transcript lawful`,
	async run({ trials, seconds = 4, inFlight = 64, keyless, profile }, report) {
		// Twice the places that are needed: an open loop has more under way than its mean.
		const sockets = Math.max(4, Math.ceil((2 * inFlight) / FOLLOWS_PER_SOCKET));
		await using stage = await openStage({ sockets, profiled: profile });
		await stage.script({ text: ANSWER });
		await reportMemory(stage, "idle", report);

		const run = async (name: string, load: Job["load"]) => {
			const job: Job = {
				load,
				targets: ["through"],
				rampSeconds: WARM_SECONDS,
				seconds: trials * seconds,
				keyed: !keyless,
				expected: ANSWER,
			};
			const measured = await stage.run(job);
			for (const sample of measured.samples) report.raw({ phase: name, ...sample });
			return measured;
		};
		const closed = await run("closed", { kind: "closed", inFlight });
		const reached = rates(closed.samples, trials, seconds);
		const rate = spread(reached).median;
		const open = await run("open", { kind: "open", perSecond: OPEN_SHARE * rate, seed: 1 });

		const keys = keyless ? "without idempotency keys" : "each with an idempotency key";
		report.print(`\nComplete requests, ${trials} trials of ${seconds} s, ${sockets} sockets, ${keys}:`);
		report.print(
			table(
				["", "req/s median", "min", "max", "p50 ms", "p95 ms", "p99 ms", "max ms", "late p99", "faults"],
				[
					row(`closed, ${inFlight} in flight`, reached, closed.samples),
					row(`open, ${show(OPEN_SHARE * rate)} req/s offered`, rates(open.samples, trials, seconds), open.samples),
				],
			),
		);
		report.print("\nCPU ms per request, and share of one core:");
		report.print(
			cpuTable([
				["closed", closed],
				["open", open],
			]),
		);
		await reportMemory(stage, "after the runs", report);

		const faults = [...closed.samples, ...open.samples].filter(({ fault }) => fault !== undefined);
		for (const { fault } of faults.slice(0, 5)) report.print(`fault: ${fault}`);
		const calls = await stage.providerCalls();
		report.print(`\nThe provider got ${calls} calls.`);
		if (profile) await reportProfile(stage, report);
		return verdict(rate, faults.length);
	},
};

async function reportProfile(stage: Stage, report: Report): Promise<void> {
	for (const [name, spots] of await stage.profile()) {
		report.raw({ phase: "profile", process: name, spots });
		report.print(`\nWhere ${name} spends its time, % of what is not idle:`);
		const rows = spots.slice(0, HOT_SPOTS).map((spot) => [spot.name, 100 * spot.self, 100 * spot.total]);
		report.print(table(["function", "self", "with callees"], rows));
	}
}

const verdict = (rate: number, faults: number): Verdict => ({
	value: Math.round(rate),
	unit: "requests/s",
	pass: rate >= GOAL_PER_SECOND && faults === 0,
});

/** Requests that ended in each trial without a fault, per second. */
function rates(samples: readonly Sample[], trials: number, seconds: number): number[] {
	const complete = samples.filter(({ fault }) => fault === undefined);
	const ended = ({ at, total }: Sample) => at + total;
	return windows(complete, ended, trials, seconds * 1_000).map((trial) => trial.length / seconds);
}

function row(name: string, reached: readonly number[], samples: readonly Sample[]): (string | number)[] {
	const { median, min, max } = spread(reached);
	const measured = samples.filter(({ at }) => at >= 0);
	const total = percentiles(measured.map((sample) => sample.total));
	const late = percentiles(measured.map((sample) => sample.late));
	const faults = samples.filter(({ fault }) => fault !== undefined).length;
	return [name, median, min, max, total.p50, total.p95, total.p99, total.max, late.p99, String(faults)];
}

const NODE: readonly (keyof CpuTimes)[] = ["gateway", "actors-1", "actors-2"];
const COLUMNS: readonly (keyof CpuTimes)[] = [...NODE, "nats", "provider", "generator", "others"];

function cpuTable(runs: readonly (readonly [name: string, measured: Measured])[]): string {
	const rows = runs.flatMap(([name, { samples, cpu, seconds }]) => {
		const ended = samples.filter(({ at, total }) => at + total < seconds * 1_000).length;
		const node = NODE.reduce((sum, process) => sum + cpu[process], 0);
		const of = (unit: number) => [...COLUMNS.map((process) => cpu[process] / unit), node / unit];
		return [
			[`${name}, ms per request`, ...of(ended), `of ${BUDGET_MS}`],
			[`${name}, % of one core`, ...of(seconds * 10), ""],
		];
	});
	return table(["", ...COLUMNS, "node side", "budget"], rows);
}
