import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { promisify } from "node:util";

/** What processes have used so far: CPU time in ms, memory in MB. */
export type Usage = { cpuMs: number; memoryMb: number };

/** Clock ticks per second in /proc; fixed at 100 on every architecture that Node runs on. */
const TICKS = 100;
const run = promisify(execFile);

export async function usageOf(pid: number): Promise<Usage> {
	return process.platform === "linux" ? usageOfLinux(pid) : usageByPs(pid);
}

/** Memory is the proportional share: pages that several processes have in common (the node binary) count once over all of them. */
async function usageOfLinux(pid: number): Promise<Usage> {
	const [stat, rollup] = await Promise.all([
		readFile(`/proc/${pid}/stat`, "utf8"),
		readFile(`/proc/${pid}/smaps_rollup`, "utf8"),
	]);
	// The name in parentheses may hold blanks; fields are counted behind it, user time is 11 and system time 12.
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	const ticks = Number(fields[11]) + Number(fields[12]);
	const kb = Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]);
	return { cpuMs: (ticks * 1_000) / TICKS, memoryMb: kb / 1_024 };
}

async function usageByPs(pid: number): Promise<Usage> {
	const { stdout } = await run("ps", ["-o", "time=,rss=", "-p", String(pid)]);
	const [time = "0", kb = "0"] = stdout.trim().split(/\s+/);
	const seconds = time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
	return { cpuMs: seconds * 1_000, memoryMb: Number(kb) / 1_024 };
}

/** CPU time that the whole machine has spent so far, in ms over all cores. */
export function machineCpuMs(): number {
	return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}

/** Our own child whose command line holds this text. */
export async function childPid(commandLine: string): Promise<number> {
	const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid=,args="]);
	for (const line of stdout.split("\n")) {
		const [, pid, parent, args = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
		if (Number(parent) === process.pid && args.includes(commandLine)) return Number(pid);
	}
	throw new Error(`bench: expected a child process with "${commandLine}" in its command line, found none`);
}
