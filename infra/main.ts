import { mkdir } from "node:fs/promises";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { type Config, readConfig } from "../schemas/config.ts";
import { openLogger } from "./log.ts";
import { cacheFolder } from "./paths.ts";

/** How long a stop may take before the process ends anyway (§3). */
const STOP_MS = 10_000;

// Compiled code is kept, for this process and those that it starts: they start faster and hold less memory.
enableCompileCache(join(cacheFolder, "compiled"));

const config = optionsOrEnd();
const supervised = config.roles.length === 0;
const logger = openLogger(config.logLevel, supervised ? "supervisor" : config.name || config.roles.join("+"));

/** Wrong options are for a person to read: no stack. */
function optionsOrEnd(): Config {
	try {
		return readConfig(process.env);
	} catch (problem) {
		openLogger("info", "start").fatal(problem instanceof Error ? problem.message : String(problem));
		process.exit(1);
	}
}

/** Ends in order at the first signal, at once at the second, and when the supervisor of this process has died. */
function stopWith(stop: () => Promise<void>): void {
	let stopping = false;
	const begin = () => {
		if (stopping) process.exit(1);
		stopping = true;
		setTimeout(() => process.exit(1), STOP_MS).unref();
		stop().then(
			() => process.exit(0),
			(err: unknown) => {
				logger.error({ err }, "stop failed");
				process.exit(1);
			},
		);
	};
	process.on("SIGTERM", begin);
	process.on("SIGINT", begin);
	if (process.send) process.on("disconnect", begin);
}

try {
	await mkdir(config.data, { recursive: true });
	if (supervised) {
		const { supervise } = await import("./supervise.ts");
		const supervisor = await supervise(config, logger);
		stopWith(supervisor.stop);
		await supervisor.ready;
	} else {
		if (config.natsUrl === "")
			throw new Error(
				"NATS_URL is expected with THROUGHLINE_ROLES: without it, start the supervisor (no THROUGHLINE_ROLES), which brings a nats-server.",
			);
		const { serve } = await import("./serve.ts");
		const serving = await serve(config, config.roles, logger);
		stopWith(serving.stop);
		process.send?.("ready");
		logger.info({ roles: config.roles, port: serving.port }, "ready");
	}
} catch (problem) {
	logger.fatal(problem instanceof Error ? problem.message : String(problem));
	logger.debug({ err: problem }, "start failed");
	process.exit(1);
}
