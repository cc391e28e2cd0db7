import { setTimeout as sleep } from "node:timers/promises";
import { openDirect } from "./direct.ts";
import type { FromGenerator, Job, Sample, Target, ToGenerator } from "./job.ts";
import { openThrough, type Requester } from "./through.ts";

/** Requests that are under way when the time is over may take this long to end. */
const PATIENCE_MS = 30_000;
const INPUT = "How long does a message stay in the queue before somebody has to look at it?";

/** Numbers in [0, 1) that are the same at every run with the same seed (mulberry32). */
export function seeded(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** Runs a job; `onEdge` is called as the measured time begins and ends. */
async function run(
	job: Job,
	requesters: Readonly<Record<Target, Requester>>,
	onEdge: (edge: "begin" | "end") => void,
): Promise<Sample[]> {
	const { load, targets } = job;
	const samples: Sample[] = [];
	const underWay = new Set<Promise<void>>();
	const started = performance.now();
	const begin = started + job.rampSeconds * 1_000;
	const end = begin + job.seconds * 1_000;
	let count = 0;

	async function one(due: number): Promise<void> {
		const target = targets[count++ % targets.length] ?? "through";
		const { sentAt, firstAt, endedAt, fault } = await requesters[target].request(INPUT, job.expected);
		if (endedAt < begin) return;
		const first = firstAt === 0 ? Number.NaN : firstAt - due;
		const wrong = fault ?? (firstAt === 0 ? "no text came" : undefined);
		samples.push({
			target,
			at: due - begin,
			late: sentAt - due,
			first,
			total: endedAt - due,
			...(wrong !== undefined && { fault: wrong }),
		});
	}
	const launch = (due: number) => {
		const work = one(due).finally(() => underWay.delete(work));
		underWay.add(work);
		return work;
	};
	async function closed(inFlight: number): Promise<void> {
		const lane = async () => {
			while (performance.now() < end) await one(performance.now());
		};
		await Promise.all(Array.from({ length: inFlight }, lane));
	}
	async function open(perSecond: number, seed: number): Promise<void> {
		const random = seeded(seed);
		let due = started;
		for (;;) {
			due += (-Math.log(1 - random()) / perSecond) * 1_000;
			if (due >= end) break;
			const wait = Math.ceil(due - performance.now());
			if (wait > 0) await sleep(wait);
			void launch(due);
		}
		const left = end - performance.now();
		if (left > 0) await sleep(left);
	}

	const edges = [
		setTimeout(() => onEdge("begin"), job.rampSeconds * 1_000),
		setTimeout(() => onEdge("end"), (job.rampSeconds + job.seconds) * 1_000),
	];
	const late = sleep(end - started + PATIENCE_MS, "late", { ref: false });
	const all = async () => {
		if (load.kind === "closed") await closed(load.inFlight);
		else await open(load.perSecond, load.seed);
		await Promise.all(underWay);
	};
	const outcome = await Promise.race([all(), late]);
	for (const edge of edges) clearTimeout(edge);
	if (outcome === "late")
		throw new Error(`bench: expected every request to end within ${PATIENCE_MS} ms, ${count - samples.length} did not`);
	return samples;
}

if (import.meta.main) {
	const tell = (message: FromGenerator) => process.send?.(message);
	let keyed = true;
	let requesters: Record<Target, Requester> | undefined;
	const hear = async (message: ToGenerator) => {
		if (message.type === "aim") {
			const through = await openThrough(message.aim, () => keyed);
			requesters = { through, direct: openDirect(message.aim.provider) };
			tell({ type: "aimed" });
			return;
		}
		if (!requesters) throw new Error("bench: an aim is expected before a job");
		keyed = message.job.keyed;
		const samples = await run(message.job, requesters, (edge) => tell({ type: "edge", edge }));
		const unasked = requesters.through.unasked();
		if (unasked > 0) throw new Error(`bench: ${unasked} events came that belong to no request under way`);
		tell({ type: "samples", samples });
	};
	process.on("message", (message: ToGenerator) => {
		hear(message).catch((problem: unknown) =>
			tell({ type: "failed", message: problem instanceof Error ? problem.message : String(problem) }),
		);
	});
	process.once("disconnect", () => process.exit(0));
}
