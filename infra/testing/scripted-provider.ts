import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Bill } from "./scripted-answering.ts";
import type { Plan } from "./scripted-plan.ts";
import { serveScripted } from "./scripted-server.ts";

export type { Bill } from "./scripted-answering.ts";
export type { Plan } from "./scripted-plan.ts";

export type ScriptedProvider = AsyncDisposable & {
	/** Root of the server; the OpenAI base URL is `${url}/v1`. */
	url: string;
	/** Replaces the plan: what stood in the queue before is gone. Rejects when the plan has a fault. */
	script(plan: Plan): Promise<void>;
	/** Every call since the start or the last reset, in order of arrival; waits until `calls` have begun and, with `settled`, none is open. */
	bill(when?: { calls?: number; settled?: boolean }): Promise<Bill[]>;
	/** Empties the bill and goes back to the plan at start. */
	reset(): Promise<void>;
	/** Ends the process without warning; the bill is lost. */
	kill9(): Promise<void>;
	stop(): Promise<void>;
};

/**
 * Starts a scripted model provider in a process of its own, so that its work and its death are not ours.
 * It ends with us, however we end. A `port` starts it again where a killed one stood.
 */
export async function startScriptedProvider({ port = 0 } = {}): Promise<ScriptedProvider> {
	const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--port", String(port)], {
		stdio: ["ignore", "pipe", "inherit", "ipc"],
	});
	const exited = once(child, "exit");
	if (child.stdout === null) throw new Error("scripted provider: expected a pipe from its stdout");
	const line = await Promise.race([once(createInterface(child.stdout), "line"), exited]);
	const url = /^listening on (\S+)$/.exec(String(line[0]))?.[1];
	if (url === undefined) throw new Error(`scripted provider: expected "listening on <url>", got ${String(line[0])}`);

	const ask = async (path: string, init?: RequestInit) => {
		const response = await fetch(`${url}${path}`, init);
		const text = await response.text();
		if (!response.ok) throw new Error(`scripted provider: ${path} answered ${response.status}: ${text}`);
		return text;
	};
	const end = async (signal: "SIGTERM" | "SIGKILL") => {
		child.kill(signal);
		await exited;
	};
	return {
		url,
		script: async (plan) => void (await ask("/script", { method: "POST", body: JSON.stringify(plan) })),
		bill: async ({ calls = 0, settled = false } = {}) =>
			JSON.parse(await ask(`/bill?calls=${calls}${settled ? "&settled=1" : ""}`)),
		reset: async () => void (await ask("/reset", { method: "POST" })),
		kill9: () => end("SIGKILL"),
		stop: () => end("SIGTERM"),
		[Symbol.asyncDispose]: () => end("SIGTERM"),
	};
}

if (import.meta.main) {
	const { values } = parseArgs({ options: { port: { type: "string", default: "0" } } });
	const server = await serveScripted(Number(values.port));
	process.stdout.write(`listening on ${server.url}\n`);
	const leave = () => process.exit(0);
	process.once("SIGTERM", leave);
	process.once("SIGINT", leave);
	// A parent that is killed takes its channel with it.
	if (process.connected) process.once("disconnect", leave);
}
