import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { TelemetryRecord } from "../../actors/telemetry/record.ts";
import type { ActorName, Entry } from "../../schemas/entry.ts";
import { connectBus } from "../bus/connect.ts";
import { jetStreamLog } from "../bus/jetstream-log.ts";
import { openLink } from "../bus/link.ts";
import { localNats } from "../bus/nats-server.ts";
import { lifeOf } from "../bus/process.ts";
import { createKey } from "../stores/keys.ts";
import { openSqliteDocuments } from "../stores/sqlite-documents.ts";
import { silent } from "./nats.ts";

export type ProcessName = "supervisor" | "nats" | "gateway" | "actors-1" | "actors-2";

/** The whole product as `npm start` runs it, in a temporary data folder on a free port. */
export type App = AsyncDisposable & {
	readonly url: string;
	readonly data: string;
	/** What its processes logged so far. */
	log(): string;
	key(tenant: string, principal?: string, roles?: readonly string[]): Promise<string>;
	pid(name: ProcessName): Promise<number>;
	/** Every entry of a request, read from its log. */
	entries(tenant: string, request: string): Promise<Entry[]>;
	/** Names of the processes that wrote as an actor for a request, in order. */
	writers(tenant: string, request: string, actor: ActorName): Promise<string[]>;
	/** The telemetry record of an ended request, when telemetry has written it. */
	record(tenant: string, request: string): Promise<TelemetryRecord>;
	/** SIGKILL; resolves when the process is gone. */
	kill9(name: ProcessName): Promise<void>;
	/** SIGKILL for every process at once, nats-server included. */
	kill9Everything(): Promise<void>;
	/** Starts it again on the same port and data. */
	start(): Promise<void>;
	stop(): Promise<void>;
};

const READY = /Throughline is ready at (\S+)/;
const PIDS: Readonly<Record<Exclude<ProcessName, "supervisor">, string>> = {
	nats: "nats/nats.pid",
	gateway: "pids/gateway",
	"actors-1": "pids/actors-1",
	"actors-2": "pids/actors-2",
};

/** `env` adds to or replaces options; no key and no base URL of this machine's environment comes in. */
export async function startApp(env: Readonly<Record<string, string>> = {}): Promise<App> {
	const data = await mkdtemp(join(tmpdir(), "throughline-app-"));
	let lines: string[] = [];
	let url = "";
	let child = begin("0");

	function begin(port: string) {
		const { OPENAI_API_KEY: _, OPENAI_BASE_URL: __, NATS_URL: ___, ...inherited } = process.env;
		const options = {
			THROUGHLINE_DATA: data,
			THROUGHLINE_PORT: port,
			THROUGHLINE_LOG_LEVEL: "info",
			THROUGHLINE_DEMO: "off",
			...env,
		};
		const started = spawn(process.execPath, [join(import.meta.dirname, "../main.ts")], {
			env: { ...inherited, ...options },
			stdio: ["ignore", "pipe", "pipe"],
		});
		const ready = new Promise<void>((resolve, reject) => {
			const read = (line: string) => {
				lines.push(line);
				const found = READY.exec(line);
				if (found?.[1]) {
					url = found[1];
					resolve();
				}
			};
			createInterface(started.stdout).on("line", read);
			createInterface(started.stderr).on("line", read);
			started.on("exit", (code) =>
				reject(new Error(`the app ended with ${code} before it was ready:\n${lines.join("\n")}`)),
			);
		});
		const exited = new Promise<void>((resolve) => started.on("exit", () => resolve()));
		return { started, ready, exited };
	}

	const pid = async (name: ProcessName): Promise<number> => {
		if (name === "supervisor") return child.started.pid ?? 0;
		return Number((await readFile(join(data, PIDS[name]), "utf8")).trim());
	};
	const kill = async (name: ProcessName): Promise<number> => {
		const id = await pid(name);
		process.kill(id, "SIGKILL");
		return id;
	};
	const gone = async (id: number) => {
		while (lifeOf(id)) await sleep(10);
	};
	const stop = async () => {
		child.started.kill("SIGTERM");
		await child.exited;
	};
	const entries: App["entries"] = async (tenant, request) => {
		const broker = localNats(data);
		if (!broker) throw new Error(`a nats-server of ${data} is expected`);
		const link = openLink(await connectBus({ ...broker, name: "test", log: silent }));
		try {
			const log = jetStreamLog({ link, writer: "test", patienceMs: 10_000 });
			const tail = await log.tail(tenant, request);
			return tail ? await log.read(tail, 0) : [];
		} finally {
			await link.close();
		}
	};
	await child.ready;
	return {
		get url() {
			return url;
		},
		data,
		log: () => lines.join("\n"),
		async key(tenant, principal = "someone", roles = []) {
			const documents = openSqliteDocuments(join(data, "documents.db"));
			try {
				return await createKey(documents, { tenant, principal, roles, now: Date.now() });
			} finally {
				await documents.close();
			}
		},
		pid,
		entries,
		async writers(tenant, request, actor) {
			return (await entries(tenant, request)).flatMap((entry) => (entry.actor === actor ? [entry.writer] : []));
		},
		async record(tenant, request) {
			const documents = openSqliteDocuments(join(data, "documents.db"));
			try {
				for (;;) {
					const stored = await documents.get<TelemetryRecord>(tenant, "record", request);
					if (stored) return stored.value;
					await sleep(20);
				}
			} finally {
				await documents.close();
			}
		},
		kill9: async (name) => gone(await kill(name)),
		async kill9Everything() {
			const names: ProcessName[] = ["supervisor", "gateway", "actors-1", "actors-2", "nats"];
			const ids = await Promise.all(names.map(kill));
			await Promise.all(ids.map(gone));
		},
		async start() {
			lines = [];
			child = begin(new URL(url).port);
			await child.ready;
		},
		stop,
		async [Symbol.asyncDispose]() {
			await stop();
			await rm(data, { recursive: true, force: true });
		},
	};
}
