import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config, RoleName } from "../schemas/config.ts";
import { lockDataFolder } from "./bus/folder-lock.ts";
import { findNatsServer } from "./bus/nats-binary.ts";
import { ensureNatsServer, type NatsServer } from "./bus/nats-server.ts";
import { freePort } from "./free-port.ts";
import type { Logger } from "./log.ts";
import { cacheFolder } from "./paths.ts";
import { welcome } from "./welcome.ts";

/** What runs: one gateway, two processes with every actor (§3). */
const processes: Readonly<Record<string, readonly RoleName[]>> = {
	gateway: ["gateway"],
	"actors-1": ["session", "orchestration", "retrieval", "tools", "inference", "telemetry"],
	"actors-2": ["session", "orchestration", "retrieval", "tools", "inference", "telemetry"],
};

/** Pauses between two starts of a process that dies at once. */
const RESTART_MS = { first: 50, most: 5_000 };
/** A process that ran for this long starts its pauses anew. */
const STEADY_MS = 10_000;
const CHILD_STOP_MS = 8_000;

type Child = {
	/** Resolves at its first readiness; rejects when it ends by itself before. */
	ready: Promise<void>;
	stop(): Promise<void>;
	signal(signal: NodeJS.Signals): void;
};

export type Supervisor = {
	/** Resolves when everything works; rejects, with everything stopped, when a process cannot start. */
	ready: Promise<void>;
	stop(): Promise<void>;
};

/** Starts everything on this machine and restarts what dies; stops what it started. */
export async function supervise(config: Config, logger: Logger): Promise<Supervisor> {
	const begin = performance.now();
	const lock = lockDataFolder(config.data);
	const pidFolder = join(config.data, "pids");
	await mkdir(pidFolder, { recursive: true });
	const bus = config.natsUrl === "" ? await localBus(config, logger) : undefined;
	// A gateway that dies comes back on the same port: clients know no other.
	const port = config.port || (await freePort());
	const env: NodeJS.ProcessEnv = {
		...process.env,
		NODE_COMPILE_CACHE: join(cacheFolder, "compiled"),
		THROUGHLINE_PORT: String(port),
		THROUGHLINE_DATA: config.data,
		NATS_URL: bus ? bus.url() : config.natsUrl,
	};
	const children = Object.entries(processes).map(([name, roles]) => keepRunning(name, env, roles, pidFolder, logger));
	// Another address of the broker reaches its clients by a new start only.
	bus?.onMoved(() => {
		env.NATS_URL = bus.url();
		for (const child of children) child.signal("SIGTERM");
	});
	const stop = async () => {
		const [gateway, ...actors] = children;
		await gateway?.stop();
		await Promise.all(actors.map((actor) => actor.stop()));
		await bus?.stop();
		lock[Symbol.dispose]();
	};
	const ready = (async () => {
		try {
			await Promise.all(children.map((child) => child.ready));
			await welcome(config, port, Math.round(performance.now() - begin));
		} catch (problem) {
			await stop();
			throw problem;
		}
	})();
	return { ready, stop };
}

type LocalBus = { url(): string; onMoved(handle: () => void): void; stop(): Promise<void> };

/** A nats-server of this data folder: adopted if it outlived its supervisor, started otherwise, started again when it dies. */
async function localBus(config: Config, logger: Logger): Promise<LocalBus> {
	const { path: binary } = await findNatsServer({ cacheFolder, log: logger });
	const start = () => ensureNatsServer({ dataFolder: config.data, binary, log: logger });
	let server: NatsServer = await start();
	let stopped = false;
	let moved = () => {};
	const watching = (async () => {
		while (!stopped) {
			await server.exited;
			if (stopped) return;
			logger.warn({ pid: server.pid }, "nats-server died, starting it again");
			const before = server.url;
			server = await start();
			if (server.url !== before) moved();
		}
	})();
	watching.catch((err: unknown) =>
		logger.fatal({ err }, "nats-server does not start again; stop and look at nats.log in the data folder"),
	);
	return {
		url: () => server.url.replace("nats://", `nats://${server.token}@`),
		onMoved(handle) {
			moved = handle;
		},
		async stop() {
			stopped = true;
			await server.stop();
		},
	};
}

/** Runs this program with some roles, again and again; its pid stands in a file of the process's name. */
function keepRunning(
	name: string,
	env: Readonly<Record<string, string | undefined>>,
	roles: readonly RoleName[],
	pidFolder: string,
	logger: Logger,
): Child {
	const ready = Promise.withResolvers<void>();
	let wasReady = false;
	let child: ChildProcess | undefined;
	let stopped = false;
	const running = (async () => {
		let pause = RESTART_MS.first;
		while (!stopped) {
			const startedAt = performance.now();
			const started = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
				// Read at every start: the broker's address may have changed.
				env: { ...env, THROUGHLINE_ROLES: roles.join(","), THROUGHLINE_NAME: name },
				stdio: ["ignore", "inherit", "inherit", "ipc"],
			});
			child = started;
			if (started.pid) await writeFile(join(pidFolder, name), `${started.pid}\n`);
			started.on("message", () => {
				wasReady = true;
				ready.resolve();
			});
			const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
				started.on("exit", (code, signal) => resolve([code, signal]));
				started.on("error", () => resolve([null, null]));
			});
			if (stopped) return;
			if (code !== null && code !== 0 && !wasReady) {
				// It gave up by itself before it ever worked, and has said why: trying again would not help.
				stopped = true;
				return ready.reject(new Error(`${name} could not start; its last line says why`));
			}
			logger.warn({ name, code, signal }, "a process died, starting it again");
			pause = performance.now() - startedAt > STEADY_MS ? RESTART_MS.first : Math.min(RESTART_MS.most, pause * 2);
			await sleep(pause);
		}
	})();
	return {
		ready: ready.promise,
		signal: (signal) => void child?.kill(signal),
		async stop() {
			stopped = true;
			child?.kill("SIGTERM");
			const force = setTimeout(() => child?.kill("SIGKILL"), CHILD_STOP_MS);
			await running;
			clearTimeout(force);
		},
	};
}
