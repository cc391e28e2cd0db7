import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { mkdir, open, readFile, realpath, rename, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "nats";
import { freePort, isFree } from "../free-port.ts";
import type { Log } from "./connect.ts";
import { commandLine, lifeOf } from "./process.ts";

/**
 * A local nats-server, as one process: when it dies, `ensureNatsServer` gives the next one, at the same URL with the same
 * token and store. It lives in a process group of its own, so that neither a killed supervisor nor Ctrl-C takes it along.
 */
export type NatsServer = {
	/** `nats://127.0.0.1:port`, without the token. */
	url: string;
	token: string;
	pid: number;
	/** It was running already, left over by a supervisor that was killed. */
	adopted: boolean;
	/** Resolves when the process is gone, whoever ended it. */
	exited: Promise<void>;
	/** Ends the process: SIGTERM, after 5 s SIGKILL. */
	stop(): Promise<void>;
};

/** A broker that shares its cores with everything else loses more to switching between threads than it gains: on two cores, one does a fifth more. */
const SCHEDULER_THREADS = Math.max(1, Math.floor(availableParallelism() / 4));

/** What makes a data folder's server its own; kept in the folder. */
type Identity = {
	/** Where this was written: a copied data folder gets an identity of its own instead of adopting the original's server. */
	home: string;
	/** The server's name: tells our server from any other that listens on our port. */
	name: string;
	port: number;
	token: string;
};

/**
 * Gives the nats-server of this data folder: the one that still runs, else a new one on the port of the last one (another
 * port if somebody else has taken that; compare `url`). Everything it keeps is in `<dataFolder>/nats`.
 * Only the holder of the folder's lock may call this. Rejects when the server cannot start, with what it said.
 */
export async function ensureNatsServer({
	dataFolder,
	binary,
	log,
	patience = 60_000,
}: {
	dataFolder: string;
	/** Path of a nats-server, 2.12 or newer. */
	binary: string;
	log: Log;
	/** Milliseconds until a server that does not answer is given up; reading 1.6 million messages back in took 1.5 s. */
	patience?: number;
}): Promise<NatsServer> {
	await mkdir(join(dataFolder, "nats"), { recursive: true, mode: 0o700 });
	const home = await realpath(join(dataFolder, "nats"));
	let identity = readIdentity(home);
	const running = await findRunning(home, identity, log, patience);
	if (running) return running;
	for (let attempt = 1; ; attempt++) {
		if (!identity || !(await isFree(identity.port))) {
			if (identity) log.warn(`port ${identity.port} of nats-server is taken by another program, choosing a new one`);
			identity = await newIdentity(home, identity);
		}
		const server = await start(identity, binary, patience);
		if (server) {
			log.info(`nats-server started: process ${server.pid} at ${server.url} with its store in ${home}`);
			return server;
		}
		// Ended because another program took the port in the moment before it? Then again, on another port.
		if (attempt === 5 || (await isFree(identity.port))) throw new Error(await explain(home, binary));
	}
}

/** Where this data folder's nats-server listens when it runs; nothing for a folder that never had one. Reads only. */
export function localNats(dataFolder: string): { url: string; token: string } | undefined {
	try {
		const identity = readIdentity(realpathSync(join(dataFolder, "nats")));
		return identity && { url: urlOf(identity), token: identity.token };
	} catch {
		return undefined;
	}
}

function urlOf({ port }: Identity): string {
	return `nats://127.0.0.1:${port}`;
}

/** Our server if it still runs and answers; one that does not answer, or whose token is lost, is ended. */
async function findRunning(
	home: string,
	identity: Identity | undefined,
	log: Log,
	patience: number,
): Promise<NatsServer | undefined> {
	const pid = Number(await readFile(join(home, "nats.pid"), "utf8").catch(() => "0"));
	// After a crash of the machine the number in the file may be anybody's.
	const isOurs = pid > 0 && (await commandLine(pid)).includes(`-c ${join(home, "nats.conf")}`);
	const life = isOurs ? lifeOf(pid) : undefined;
	if (life === undefined) {
		if (!identity || !(await answers(identity))) return undefined;
		throw new Error(
			`The nats-server of ${home} runs at ${urlOf(identity)}, but ${join(home, "nats.pid")} does not name its process. Stop it by hand and start again: two servers on one store would destroy it.`,
		);
	}
	const exited = gone(pid, life);
	const stop = () => end(pid, life, exited);
	// One that was started just before its supervisor was killed may still be reading its store.
	if (identity && (await answersWithin(identity, patience, exited))) {
		log.info(`nats-server adopted: process ${pid} at ${urlOf(identity)} with its store in ${home}`);
		return { url: urlOf(identity), token: identity.token, pid, adopted: true, exited, stop };
	}
	log.warn(`nats-server: process ${pid} runs on ${home} and does not answer, ending it`);
	await stop();
	return undefined;
}

async function answersWithin(identity: Identity, patience: number, exited: Promise<void>): Promise<boolean> {
	let ended = false;
	void exited.then(() => {
		ended = true;
	});
	const until = performance.now() + patience;
	do {
		if (await answers(identity)) return true;
		await Promise.race([sleep(10), exited]);
	} while (!ended && performance.now() < until);
	return false;
}

/** Whether our server, and no other, answers on our port and takes our token. */
async function answers({ port, token, name }: Identity): Promise<boolean> {
	try {
		const connection = await connect({ servers: `127.0.0.1:${port}`, token, reconnect: false, timeout: 1_000 });
		const isOurs = connection.info?.server_name === name;
		await connection.close();
		return isOurs;
	} catch {
		return false;
	}
}

/** A server that answers, or nothing when the process ended before it did. */
async function start(identity: Identity, binary: string, patience: number): Promise<NatsServer | undefined> {
	const { home } = identity;
	const configuration = join(home, "nats.conf");
	await writePrivate(configuration, configurationOf(identity));
	// Its log has all but what comes before the log is open and what a Go panic prints.
	const stderr = await open(join(home, "nats.stderr"), "a", 0o600);
	const child = spawn(binary, ["-c", configuration], {
		cwd: home,
		detached: true,
		stdio: ["ignore", "ignore", stderr.fd],
		env: { GOMAXPROCS: String(SCHEDULER_THREADS), ...process.env },
	});
	const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
	const failed = new Promise<Error>((resolve) => child.once("error", resolve));
	await stderr.close();
	if (child.pid === undefined) {
		throw new Error(`Expected a nats-server that runs at ${binary}: ${(await failed).message}`);
	}
	// The server writes this too, a few milliseconds later: if we are killed before that, the next start must find it.
	writeFileSync(join(home, "nats.pid"), String(child.pid));
	const { pid } = child;
	const life = lifeOf(pid);
	const stop = () => end(pid, life, exited);
	if (await answersWithin(identity, patience, exited)) {
		return { url: urlOf(identity), token: identity.token, pid, adopted: false, exited, stop };
	}
	await stop();
	return undefined;
}

/**
 * `sync_interval` stays at its default: every append reaches the operating system before its ack, so the death of any
 * process loses nothing; the disk is told every 2 minutes, so a power loss may lose what came last.
 */
function configurationOf({ home, name, port, token }: Identity): string {
	const text = JSON.stringify;
	return [
		"# Written anew at every start of nats-server by Throughline.",
		`listen: "127.0.0.1:${port}"`,
		`server_name: ${text(name)}`,
		`authorization { token: ${text(token)} }`,
		// the server adds the folder "jetstream" by itself
		`jetstream { store_dir: ${text(home)} }`,
		"max_payload: 1MB",
		'write_deadline: "10s"',
		`pid_file: ${text(join(home, "nats.pid"))}`,
		`logfile: ${text(join(home, "nats.log"))}`,
		"logfile_size_limit: 10MB",
		"logfile_max_num: 3",
		"",
	].join("\n");
}

function readIdentity(home: string): Identity | undefined {
	try {
		const kept: Identity = JSON.parse(readFileSync(join(home, "identity.json"), "utf8"));
		return kept.home === home ? kept : undefined;
	} catch {
		return undefined;
	}
}

/** A new port gets a new token: whoever has taken the old port may have been told the old one by clients that came back. */
async function newIdentity(home: string, before: Identity | undefined): Promise<Identity> {
	const identity = {
		home,
		name: before?.name ?? `throughline-${randomBytes(8).toString("hex")}`,
		port: await freePort(),
		token: randomBytes(24).toString("base64url"),
	};
	await writePrivate(join(home, "identity.json"), JSON.stringify(identity));
	return identity;
}

async function writePrivate(path: string, text: string): Promise<void> {
	await writeFile(`${path}.new`, text, { mode: 0o600 });
	await rename(`${path}.new`, path);
}

/** Resolves when a process that is not our child has ended. */
async function gone(pid: number, life: string | undefined): Promise<void> {
	while (life !== undefined && lifeOf(pid) === life) await sleep(100);
}

/** SIGTERM, after 5 s SIGKILL; signals nobody else if the process has ended and its id was given away. */
async function end(pid: number, life: string | undefined, exited: Promise<void>): Promise<void> {
	const signal = (name: NodeJS.Signals) => {
		if (life !== undefined && lifeOf(pid) === life) process.kill(pid, name);
	};
	signal("SIGTERM");
	const harder = setTimeout(signal, 5_000, "SIGKILL");
	await exited;
	clearTimeout(harder);
}

async function explain(home: string, binary: string): Promise<string> {
	const tails: string[] = [];
	for (const file of ["nats.stderr", "nats.log"]) {
		const text = await readFile(join(home, file), "utf8").catch(() => "");
		tails.push(...text.trim().split("\n").slice(-3));
	}
	return `${binary} did not start. The last that it said, in ${home}:\n${tails.join("\n")}`;
}
