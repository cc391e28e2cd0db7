import type { Bench, Report, Verdict } from "./bench.ts";
import type { Job, Sample, Target } from "./job.ts";
import { openStage, type Stage } from "./stage.ts";
import { percentile, percentiles, type Spread, spread, windows } from "./statistics.ts";
import { show, table } from "./table.ts";

const GOAL = { one: { p50: 3 }, many: { p50: 5, p99: 25 } };
const TOKENS_PER_SECOND = 50;
const STREAM_TOKENS = 50 * 10;
const STREAM_SECONDS = STREAM_TOKENS / TOKENS_PER_SECOND;
const LIVE = 200;
const EVERY_MS = 1_000 / TOKENS_PER_SECOND;
/** How many live streams a socket has room for, with some to spare below the protocol's 64. */
const STREAMS_PER_SOCKET = 32;
const BASELINE_SECONDS = 5;

const words = (count: number) => Array.from({ length: count }, (_, at) => `word${at + 1}`).join(" ");

export const ttft: Bench = {
	goal: `added over a direct call: p50 ≤ ${GOAL.one.p50} ms at 1 in flight; p50 ≤ ${GOAL.many.p50} ms, p99 ≤ ${GOAL.many.p99} ms at ${LIVE} live streams × ${TOKENS_PER_SECOND} tokens/s`,
	async run({ trials, seconds = 3, inFlight = LIVE, keyless }, report) {
		await using stage = await openStage({ sockets: Math.max(4, Math.ceil(inFlight / STREAMS_PER_SOCKET)) });
		const keyed = !keyless;
		const faults: Sample[] = [];
		const run = async (name: string, job: Omit<Job, "keyed">) => {
			const { samples } = await stage.run({ ...job, keyed });
			for (const sample of samples) report.raw({ phase: name, ...sample });
			faults.push(...samples.filter(({ fault }) => fault !== undefined));
			return samples.filter(({ at, fault }) => at >= 0 && fault === undefined);
		};

		/** One in flight, through the server and directly in turn, so that both see the same machine. */
		const one = async (name: string, tokens: number, every_ms: number) => {
			const text = words(tokens);
			await stage.script({ text, every_ms });
			const load = { kind: "closed", inFlight: 1 } as const;
			const length = trials * seconds;
			const samples = await run(name, {
				load,
				targets: ["through", "direct"],
				rampSeconds: 2,
				seconds: length,
				expected: text,
			});
			return compare(samples, samples, trials, seconds, report, name);
		};
		const atOnce = await one("1 in flight, 10 tokens at once", 10, 0);
		await one(`1 in flight, 5 tokens at ${TOKENS_PER_SECOND}/s`, 5, EVERY_MS);

		const many = await live(stage, run, { streams: inFlight, trials, seconds: seconds + 1, report });

		report.print(`\n${faults.length} faults`);
		for (const { fault } of faults.slice(0, 5)) report.print(`fault: ${fault}`);
		return verdict(atOnce, many, faults.length);
	},
};

type Run = (name: string, job: Omit<Job, "keyed">) => Promise<Sample[]>;
type Many = { streams: number; trials: number; seconds: number; report: Report };

/** Many live streams: first the provider alone under that load, then the server in between. */
async function live(stage: Stage, run: Run, { streams, trials, seconds, report }: Many): Promise<Added> {
	const text = words(STREAM_TOKENS);
	await stage.script({ text, every_ms: EVERY_MS });
	const load = { kind: "open", perSecond: streams / STREAM_SECONDS, seed: 1 } as const;
	const job = (target: Target, length: number) => ({
		load,
		targets: [target],
		// As long as a stream: then as many end as begin.
		rampSeconds: STREAM_SECONDS,
		seconds: length,
		expected: text,
	});
	const name = `${streams} live, ${TOKENS_PER_SECOND} tokens/s each`;
	const direct = await run(`${name}, direct`, job("direct", BASELINE_SECONDS));
	const through = await run(`${name}, through`, job("through", trials * seconds));
	return compare(through, direct, trials, seconds, report, name);
}

type Added = { p50: number; p95: number; p99: number };

/** Prints the time to first text both ways, and what the server adds: the difference of the percentiles, over all trials. */
function compare(
	all: readonly Sample[],
	baseline: readonly Sample[],
	trials: number,
	seconds: number,
	report: Report,
	name: string,
): Added {
	const ofTarget = (samples: readonly Sample[], target: Target) => samples.filter((sample) => sample.target === target);
	const first = (samples: readonly Sample[]) => samples.map((sample) => sample.first);
	const through = ofTarget(all, "through");
	const direct = percentiles(first(ofTarget(baseline, "direct")));
	const got = percentiles(first(through));
	const perTrial = windows(through, ({ at }) => at, trials, seconds * 1_000).filter((trial) => trial.length > 0);
	const over = (share: number, base: number): Spread =>
		spread(perTrial.map((trial) => percentile(first(trial), share) - base));
	const between = ({ min, max }: Spread) => `${show(min)} to ${show(max)}`;
	const added = { p50: got.p50 - direct.p50, p95: got.p95 - direct.p95, p99: got.p99 - direct.p99 };
	report.print(`\nTime to first text in ms, ${name}:`);
	report.print(
		table(
			["", "calls", "p50", "p95", "p99", "max"],
			[
				["direct", String(direct.count), direct.p50, direct.p95, direct.p99, direct.max],
				["through", String(got.count), got.p50, got.p95, got.p99, got.max],
				["added", "", added.p50, added.p95, added.p99, ""],
				[
					`added, ${perTrial.length} trials`,
					"",
					between(over(0.5, direct.p50)),
					between(over(0.95, direct.p95)),
					between(over(0.99, direct.p99)),
					"",
				],
				["generator late", "", ...lateness(through)],
			],
		),
	);
	return added;
}

function lateness(samples: readonly Sample[]): number[] {
	const { p50, p95, p99, max } = percentiles(samples.map(({ late }) => late));
	return [p50, p95, p99, max];
}

const verdict = (one: Added, many: Added, faults: number): Verdict => ({
	value: Number(one.p50.toFixed(2)),
	unit: "ms",
	pass: one.p50 <= GOAL.one.p50 && many.p50 <= GOAL.many.p50 && many.p99 <= GOAL.many.p99 && faults === 0,
});
