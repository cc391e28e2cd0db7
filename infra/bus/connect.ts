import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection, NodeConnectionOptions, Status } from "nats";
import { connect, errors } from "nats";

/** Where parts of the bus report what happens; a pino logger fits. */
export type Log = { info(message: string): void; warn(message: string): void };

export type BusOptions = {
	/** One address or several with commas between: `nats://host:4222`, `nats://token@host`, `tls://user:pass@host`. */
	url: string;
	/** Outranks what stands in the URL. */
	token?: string;
	/** What the server's connection list shows. */
	name: string;
	log: Log;
	/** Milliseconds to wait for a first connection; later ones are tried for ever. */
	patience?: number;
};

/**
 * Connects to NATS and stays connected: a silent broker counts as lost after 2–3 s, and the client tries again for ever (L7).
 * Rejects when no server let us in within `patience`, and at once when one refuses the credentials.
 */
export async function connectBus({ url, token, name, log, patience = 10_000 }: BusOptions): Promise<NatsConnection> {
	const { servers, secure, credentials } = readUrl(url);
	const options: NodeConnectionOptions = {
		servers,
		name,
		...(token === undefined ? credentials : { token }),
		...(secure ? { tls: {} } : {}),
		timeout: 2_000,
		pingInterval: 1_000,
		maxPingOut: 2,
		maxReconnectAttempts: -1,
		reconnectTimeWait: 100,
		reconnectJitter: 50,
		reconnectJitterTLS: 50,
		// A broker that restarts may refuse a login more than once; without this, two refusals in a row end reconnecting.
		ignoreAuthErrorAbort: true,
	};
	const connection = await firstConnection(options, servers, patience);
	// A first dial drops the servers that did not answer from the pool; they are wanted again at the next reconnect.
	if (servers.length > 1) connection.setServers(servers);
	void report(connection, log);
	return connection;
}

/** The library's own wait (`waitOnFirstConnect`) has no end and hides why it waits. */
async function firstConnection(
	options: NodeConnectionOptions,
	servers: string[],
	patience: number,
): Promise<NatsConnection> {
	const end = performance.now() + patience;
	while (true) {
		try {
			return await connect(options);
		} catch (problem) {
			const where = servers.join(", ");
			const reason = problem instanceof Error ? problem.message : String(problem);
			if (problem instanceof errors.AuthorizationError) {
				throw new Error(
					`NATS at ${where} refused the credentials (${reason}). Put the right token or user into NATS_URL: nats://token@host:4222 or nats://user:password@host:4222.`,
					{ cause: problem },
				);
			}
			if (performance.now() >= end) {
				throw new Error(
					`No NATS server at ${where} after ${patience} ms of trying (${reason}). Start one there, set NATS_URL to a running one, or unset NATS_URL to have a local one started.`,
					{ cause: problem },
				);
			}
			await sleep(100);
		}
	}
}

type Credentials = { token: string } | { user: string; pass: string } | Record<string, never>;

function readUrl(text: string): { servers: string[]; secure: boolean; credentials: Credentials } {
	const servers: string[] = [];
	let secure = false;
	let credentials: Credentials = {};
	for (const part of text.split(",").map((part) => part.trim())) {
		if (part === "") continue;
		const address = URL.parse(part.includes("://") ? part : `nats://${part}`);
		if (!address || (address.protocol !== "nats:" && address.protocol !== "tls:") || address.hostname === "") {
			throw new Error(
				`Expected NATS addresses like nats://host:4222 or tls://host:4222, got one that is not (${withoutSecret(part)}). See NATS_URL.`,
			);
		}
		servers.push(`${address.hostname}:${address.port || "4222"}`);
		secure ||= address.protocol === "tls:";
		// One connection has one login: the first that is given serves for all addresses.
		if (Object.keys(credentials).length === 0) credentials = readCredentials(address);
	}
	if (servers.length === 0) throw new Error("Expected at least one NATS address, got none. See NATS_URL.");
	return { servers, secure, credentials };
}

function readCredentials({ username, password }: URL): Credentials {
	if (username === "") return {};
	const user = decodeURIComponent(username);
	return password === "" ? { token: user } : { user, pass: decodeURIComponent(password) };
}

function withoutSecret(address: string): string {
	return address.replace(/[^/@]*@/, "…@");
}

/** Ends by itself when the connection closes. */
async function report(connection: NatsConnection, log: Log): Promise<void> {
	for await (const status of connection.status()) {
		const line = describe(status);
		if (line) log[line.level](line.message);
	}
	const reason = await connection.closed();
	if (reason) log.warn(`NATS: closed for good: ${reason.message}`);
}

function describe(status: Status): { level: "info" | "warn"; message: string } | undefined {
	switch (status.type) {
		case "disconnect":
			return { level: "warn", message: `NATS: disconnected from ${status.server}` };
		case "reconnect":
			return { level: "info", message: `NATS: connected again to ${status.server}` };
		case "staleConnection":
			return { level: "warn", message: "NATS: the server does not answer pings, connection given up" };
		case "error":
			return { level: "warn", message: `NATS: ${status.error.message}` };
		case "slowConsumer":
			return {
				level: "warn",
				message: `NATS: ${status.pending} messages wait on subscription ${status.sub.getSubject()}`,
			};
		case "ldm":
			return { level: "info", message: `NATS: ${status.server} is about to shut down` };
		default:
			// pings, cluster updates, each single try to reconnect: noise
			return undefined;
	}
}
