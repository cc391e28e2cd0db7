import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Aim, FromGenerator, Job, Sample, ToGenerator } from "./job.ts";

export type Generator = AsyncDisposable & {
	pid: number;
	/** Runs a job; rejects when the generator cannot go on or requests never end. */
	run(job: Job, onEdge?: (edge: "begin" | "end") => void): Promise<Sample[]>;
};

/** Starts the load generator as a process of its own and connects it. Its work is then not the server's, nor the other way round. */
export async function startGenerator(aim: Aim): Promise<Generator> {
	// A profile is wanted of the server, not of this.
	const { NODE_OPTIONS: _, ...env } = process.env;
	const child = fork(join(import.meta.dirname, "generator.ts"), { env, serialization: "advanced" });
	const exited = once(child, "exit");
	let hear: (message: FromGenerator) => void = () => {};
	child.on("message", (message: FromGenerator) => hear(message));

	/** Sends, and hears until `read` gives an answer. */
	const ask = <T>(message: ToGenerator, read: (message: FromGenerator) => T | undefined) =>
		new Promise<T>((resolve, reject) => {
			hear = (answer) => {
				if (answer.type === "failed") return reject(new Error(answer.message));
				const result = read(answer);
				if (result !== undefined) resolve(result);
			};
			exited.then(([code]) => reject(new Error(`bench: the load generator ended with ${code}`)), reject);
			child.send(message);
		});

	await ask({ type: "aim", aim }, (answer) => answer.type === "aimed" || undefined);
	return {
		pid: child.pid ?? 0,
		run: (job, onEdge = () => {}) =>
			ask({ type: "job", job }, (answer) => {
				if (answer.type === "edge") onEdge(answer.edge);
				return answer.type === "samples" ? answer.samples : undefined;
			}),
		async [Symbol.asyncDispose]() {
			if (child.connected) child.disconnect();
			await exited;
		},
	};
}
