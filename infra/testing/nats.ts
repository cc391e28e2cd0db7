import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../bus/connect.ts";
import { findNatsServer } from "../bus/nats-binary.ts";
import { ensureNatsServer } from "../bus/nats-server.ts";
import { cacheFolder } from "../paths.ts";

/** A real nats-server with JetStream for one test file, on a free port with its store in a temporary folder. */
export type TestNats = AsyncDisposable & {
	readonly url: string;
	readonly token: string;
	/** Changes with `start`. */
	readonly pid: number;
	/** Ends it as a crash would; resolves when it is gone. */
	kill9(): Promise<void>;
	/** Starts it again after `kill9` or `stop`, at the same URL with what was stored. */
	start(): Promise<void>;
	/** Ends it in order; resolves when it is gone. Disposing does this too and removes the folder. */
	stop(): Promise<void>;
};

export const silent: Log = { info() {}, warn() {} };

export async function startTestNats(): Promise<TestNats> {
	const dataFolder = await mkdtemp(join(tmpdir(), "throughline-nats-"));
	const { path: binary } = await findNatsServer({ cacheFolder, log: silent });
	let server = await ensureNatsServer({ dataFolder, binary, log: silent });
	const kill = () => {
		try {
			process.kill(server.pid, "SIGKILL");
		} catch {
			// gone already
		}
	};
	// It has a process group of its own: a test run that ends early would leave it behind.
	process.once("exit", kill);
	const { url, token } = server;
	return {
		url,
		token,
		get pid() {
			return server.pid;
		},
		async kill9() {
			kill();
			await server.exited;
		},
		async start() {
			const next = await ensureNatsServer({ dataFolder, binary, log: silent });
			if (next.url !== url) {
				await next.stop();
				throw new Error(
					`Expected nats-server to come back at ${url}, but another program has taken its port. Run the test again.`,
				);
			}
			server = next;
		},
		stop: () => server.stop(),
		async [Symbol.asyncDispose]() {
			await server.stop();
			process.off("exit", kill);
			await rm(dataFolder, { recursive: true, force: true });
		},
	};
}
