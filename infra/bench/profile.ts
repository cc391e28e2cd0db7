import { readFile } from "node:fs/promises";
import { join } from "node:path";

type CallFrame = { functionName: string; url: string; lineNumber: number };

/** The parts of a V8 CPU profile that are read here. Times in microseconds. */
export type CpuProfile = {
	startTime: number;
	nodes: readonly { id: number; callFrame: CallFrame; children?: readonly number[] }[];
	samples: readonly number[];
	timeDeltas: readonly number[];
};

/** A function, and its share of the time in which the process was not idle: by itself, and with all that it called. */
export type HotSpot = { name: string; self: number; total: number };
export type Span = { begin: number; end: number };

const IDLE = "(idle)";

/**
 * Where the time inside the spans went, by function, largest share of its own first. `(program)` is native code that no
 * function stands for. What runs after an await is not counted for the function that waits.
 */
export function hotSpots(profile: CpuProfile, spans: readonly Span[]): HotSpot[] {
	const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
	const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
	const spots = new Map<string, HotSpot>();
	const spot = (name: string): HotSpot => {
		const found = spots.get(name) ?? { name, self: 0, total: 0 };
		spots.set(name, found);
		return found;
	};
	let all = 0;
	for (const [id, time] of timePerNode(profile, spans)) {
		const name = names.get(id) ?? "(unknown)";
		if (name === IDLE) continue;
		all += time;
		spot(name).self += time;
		// A function that calls itself counts once.
		const callers = new Set<string>();
		for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) callers.add(names.get(at) ?? "");
		for (const caller of callers) spot(caller).total += time;
	}
	return [...spots.values()]
		.map(({ name, self, total }) => ({ name, self: self / all, total: total / all }))
		.sort((a, b) => b.self - a.self);
}

function timePerNode(
	{ startTime, samples, timeDeltas }: CpuProfile,
	spans: readonly Span[],
): ReadonlyMap<number, number> {
	const times = new Map<number, number>();
	let now = startTime;
	for (const [at, id] of samples.entries()) {
		now += timeDeltas[at] ?? 0;
		if (!spans.some(({ begin, end }) => now >= begin && now < end)) continue;
		// The time that a sample stands for is the one until the next.
		times.set(id, (times.get(id) ?? 0) + (timeDeltas[at + 1] ?? 0));
	}
	return times;
}

function nameOf({ functionName, url, lineNumber }: CallFrame): string {
	if (url === "") return functionName;
	const short = url
		.replace(/^file:\/\//, "")
		.replace(/^.*\/node_modules\//, "")
		.replace(/^.*\/(infra|gateway|actors|subjects|schemas)\//, "$1/");
	return `${functionName || "(anonymous)"} ${short}:${lineNumber + 1}`;
}

/** Reads the profiles of main threads and names them after their processes. */
export async function readProfiles(
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
		if (name && thread === "0")
			found.set(name, hotSpots(JSON.parse(await readFile(join(folder, file), "utf8")), spans));
	}
	return found;
}
