import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The parts of a V8 CPU profile that are read here. Times in microseconds. */
export type CpuProfile = {
	startTime: number;
	nodes: readonly {
		id: number;
		callFrame: { functionName: string; url: string; lineNumber: number };
	}[];
	samples: readonly number[];
	timeDeltas: readonly number[];
};

/** A function and its share of the time in which the process was not idle. */
export type HotSpot = { name: string; share: number };
type Span = { begin: number; end: number };

const IDLE = ["(idle)", "(program)"];

/** Self time per function inside the spans, largest first; `(program)` is native code that no function stands for, mostly system calls. */
export function selfTimes({ startTime, nodes, samples, timeDeltas }: CpuProfile, spans: readonly Span[]): HotSpot[] {
	const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
	const times = new Map<string, number>();
	let now = startTime;
	for (const [at, id] of samples.entries()) {
		now += timeDeltas[at] ?? 0;
		const name = names.get(id) ?? "(unknown)";
		if (name === IDLE[0] || !spans.some(({ begin, end }) => now >= begin && now < end)) continue;
		// The time that a sample stands for is the one until the next.
		times.set(name, (times.get(name) ?? 0) + (timeDeltas[at + 1] ?? 0));
	}
	const all = [...times.values()].reduce((a, b) => a + b, 0);
	return [...times].map(([name, time]) => ({ name, share: time / all })).sort((a, b) => b.share - a.share);
}

function nameOf({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
	if (url === "") return functionName;
	const short = url
		.replace(/^file:\/\//, "")
		.replace(/^.*\/node_modules\//, "")
		.replace(/^.*\/(infra|gateway|actors|subjects|schemas)\//, "$1/");
	return `${functionName || "(anonymous)"} ${short}:${lineNumber + 1}`;
}

/** Reads the profiles of main threads and names them after their processes. */
export async function hotSpots(
	folder: string,
	files: readonly string[],
	names: ReadonlyMap<number, string>,
	spans: readonly Span[],
): Promise<Map<string, HotSpot[]>> {
	const found = new Map<string, HotSpot[]>();
	for (const file of files) {
		// CPU.<date>.<time>.<pid>.<thread>.<count>.cpuprofile
		const [, , , pid, thread] = file.split(".");
		const name = names.get(Number(pid));
		if (!name || thread !== "0") continue;
		found.set(name, selfTimes(JSON.parse(await readFile(join(folder, file), "utf8")), spans));
	}
	return found;
}
