import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ProcessName, startApp } from "../testing/app.ts";
import type { Plan } from "../testing/scripted-plan.ts";
import { startScriptedProvider } from "../testing/scripted-provider.ts";
import { type Generator, startGenerator } from "./generating.ts";
import type { Job, Sample } from "./job.ts";
import { childPid, machineCpuMs, type Usage, usageOf } from "./processes.ts";
import { type HotSpot, readProfiles, type Span } from "./profile.ts";

/** The processes of one measurement: ours, and around them the provider and the load generator. */
export type StageProcess = ProcessName | "provider" | "generator";
const OURS: readonly ProcessName[] = ["supervisor", "gateway", "actors-1", "actors-2", "nats"];

/** CPU time in ms over a measured time; `others` is everything else on the machine. */
export type CpuTimes = Readonly<Record<StageProcess | "others", number>>;

export type Measured = { samples: Sample[]; cpu: CpuTimes; seconds: number };

/** A server as `npm start` runs it, with a provider that answers by plan and a generator, each in its own process. */
export type Stage = AsyncDisposable & {
	/** What the provider answers from now on. */
	script(answer: Plan["default"]): Promise<void>;
	run(job: Job): Promise<Measured>;
	/** Calls that the provider got since it started. */
	providerCalls(): Promise<number>;
	/** Memory of the server's own processes, in MB. */
	memory(): Promise<Readonly<Record<string, number>>>;
	/** Ends the server and says where its processes spent the measured times; only with `profiled`. */
	profile(): Promise<ReadonlyMap<string, HotSpot[]>>;
};

export type StageOptions = {
	sockets: number;
	/** Records CPU profiles of the server's processes, which slows them. */
	profiled?: boolean;
};

export async function openStage({ sockets, profiled = false }: StageOptions): Promise<Stage> {
	await using started = new AsyncDisposableStack();
	const provider = started.use(await startScriptedProvider());
	const profiles = profiled ? await mkdtemp(join(tmpdir(), "throughline-profile-")) : undefined;
	if (profiles) started.defer(() => rm(profiles, { recursive: true, force: true }));
	const app = started.use(
		await startApp({
			OPENAI_BASE_URL: `${provider.url}/v1`,
			OPENAI_API_KEY: "bench",
			THROUGHLINE_FEATURE: "chat",
			THROUGHLINE_REQUESTS_PER_MINUTE: "1000000000",
			THROUGHLINE_OPEN_REQUESTS: "1000000",
			THROUGHLINE_LOG_LEVEL: "warn",
			...(profiles && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles} --cpu-prof-interval=500` }),
		}),
	);
	const key = await app.key("bench", "generator");
	const generator: Generator = started.use(
		await startGenerator({ url: app.url, key, sockets, provider: provider.url }),
	);
	const pids = new Map<StageProcess, number>([
		["provider", await childPid("scripted-provider.ts")],
		["generator", generator.pid],
	]);
	for (const name of OURS) pids.set(name, await app.pid(name));
	/** When load was measured, in the clock of the profiles: microseconds. */
	const spans: Span[] = [];

	const usages = () =>
		Promise.all([...pids].map(async ([name, pid]): Promise<[StageProcess, Usage]> => [name, await usageOf(pid)]));
	const snapshot = async () => ({ at: performance.now(), machine: machineCpuMs(), usages: new Map(await usages()) });

	const stack = started.move();
	return {
		script: (answer) => provider.script({ default: answer }),
		providerCalls: async () => (await provider.bill({ settled: true })).length,
		async run(job) {
			const edges: Partial<Record<"begin" | "end", ReturnType<typeof snapshot>>> = {};
			const samples = await generator.run(job, (edge) => {
				edges[edge] = snapshot();
			});
			const [begin, end] = await Promise.all([edges.begin, edges.end]);
			if (!begin || !end) throw new Error("bench: the generator is expected to tell when measuring begins and ends");
			spans.push({ begin: begin.at, end: end.at });
			return { samples, cpu: cpuBetween(begin, end), seconds: (end.at - begin.at) / 1_000 };
		},
		async memory() {
			const found = new Map(await usages());
			return Object.fromEntries(OURS.map((name) => [name, found.get(name)?.memoryMb ?? 0]));
		},
		async profile() {
			if (!profiles) throw new Error("bench: a stage is expected to be opened with `profiled`");
			await app.stop();
			const names = new Map(OURS.map((name) => [pids.get(name) ?? 0, name]));
			return readProfiles(profiles, await readdir(profiles), names, spans.map(inProfileClock));
		},
		[Symbol.asyncDispose]: () => stack.disposeAsync(),
	};
}

type Snapshot = { machine: number; usages: ReadonlyMap<StageProcess, Usage> };

function cpuBetween(begin: Snapshot, end: Snapshot): CpuTimes {
	const spent = (name: StageProcess) => (end.usages.get(name)?.cpuMs ?? 0) - (begin.usages.get(name)?.cpuMs ?? 0);
	const known = {
		supervisor: spent("supervisor"),
		gateway: spent("gateway"),
		"actors-1": spent("actors-1"),
		"actors-2": spent("actors-2"),
		nats: spent("nats"),
		provider: spent("provider"),
		generator: spent("generator"),
	};
	const sum = Object.values(known).reduce((a, b) => a + b, 0);
	return { ...known, others: Math.max(0, end.machine - begin.machine - sum) };
}

/** Profiles of all processes count microseconds of the machine's monotonic clock, which `hrtime` reads. */
function inProfileClock({ begin, end }: Span): Span {
	const offset = Number(process.hrtime.bigint()) / 1_000 - performance.now() * 1_000;
	return { begin: begin * 1_000 + offset, end: end * 1_000 + offset };
}
