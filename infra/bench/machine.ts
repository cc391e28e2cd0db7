import { cpus, loadavg, totalmem } from "node:os";
import { findNatsServer } from "../bus/nats-binary.ts";
import { cacheFolder } from "../paths.ts";

/** What a number depends on. */
export type Machine = {
	cpus: number;
	cpu: string;
	memory_gb: number;
	os: string;
	node: string;
	nats: string;
	load: number;
};

/** Processes waiting per core, above which numbers are not to be trusted. */
const QUIET = 0.25;

export async function machine(): Promise<Machine> {
	const quiet = { info() {}, warn() {} };
	const { version } = await findNatsServer({ cacheFolder, log: quiet });
	const cores = cpus();
	return {
		cpus: cores.length,
		cpu: cores[0]?.model.trim() ?? "unknown",
		memory_gb: Math.round(totalmem() / 2 ** 30),
		os: `${process.platform} ${process.arch}`,
		node: process.version,
		nats: version,
		load: loadavg()[0] ?? 0,
	};
}

export function machineLines({ cpus: count, cpu, memory_gb, os, node, nats, load }: Machine): string {
	const facts = `${count} × ${cpu}, ${memory_gb} GB, ${os}, node ${node}, nats-server ${nats}, load ${load.toFixed(2)}`;
	return load > QUIET * count
		? `${facts}\nWarning: the machine is not quiet, so the numbers below are worse than they could be.`
		: facts;
}
