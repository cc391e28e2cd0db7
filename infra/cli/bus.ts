import type { NatsConnection } from "nats";
import { readConfig } from "../../schemas/config.ts";
import type { Log } from "../../subjects/log.ts";
import { connectBus } from "../bus/connect.ts";
import { jetStreamLog } from "../bus/jetstream-log.ts";
import { openLink } from "../bus/link.ts";
import { localNats } from "../bus/nats-server.ts";
import { failure } from "./command.ts";
import { printError } from "./terminal.ts";

const PATIENCE_MS = 2_000;

export type Bus = AsyncDisposable & { connection: NatsConnection; log: Log };

/** The operator's way in: NATS itself, at NATS_URL or as the data folder's own server. Starts nothing. */
export async function openBus(): Promise<Bus> {
	const { natsUrl, data } = readConfig(process.env);
	const local = natsUrl === "" ? localNats(data) : undefined;
	if (natsUrl === "" && !local) {
		throw failure(
			`The log is read from NATS, and ${data} has no nats-server: start one with "npm start", or set THROUGHLINE_DATA to the folder of the server, or NATS_URL to where its NATS is.`,
		);
	}
	const options = local ?? { url: natsUrl };
	// One that listens answers at once; what comes later about the connection is worth a line.
	const log = { info: (line: string) => printError(`${line}\n`), warn: (line: string) => printError(`${line}\n`) };
	const connection = await connectBus({ ...options, name: "throughline-cli", log, patience: PATIENCE_MS }).catch(
		(problem: unknown) => {
			const reason = problem instanceof Error ? problem.message : String(problem);
			throw failure(
				local ? `The nats-server of ${data} does not answer at ${local.url}. Is "npm start" running?` : reason,
			);
		},
	);
	const link = openLink(connection);
	return {
		connection,
		log: jetStreamLog({ link, writer: "cli", patienceMs: PATIENCE_MS }),
		[Symbol.asyncDispose]: () => link.close(),
	};
}
