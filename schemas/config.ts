import { z } from "zod";

type Option<T> = { env: string; schema: z.ZodType<T, string | undefined>; fallback: string; description: string };

const option = <T>(
	env: string,
	schema: z.ZodType<T, string | undefined>,
	fallback: string,
	description: string,
): Option<T> => ({
	env,
	schema,
	fallback,
	description,
});

const words = z.string().default("");
const port = z
	.string()
	.default("8787")
	.transform(Number)
	.pipe(z.int("a port, 0 to 65535").min(0, "a port, 0 to 65535").max(65_535, "a port, 0 to 65535"));
const count = (preset: string) =>
	z
		.string()
		.default(preset)
		.transform(Number)
		.pipe(z.int("a whole number from 1 on").min(1, "a whole number from 1 on"));
const roleNames = ["gateway", "session", "orchestration", "retrieval", "tools", "inference", "telemetry"] as const;
export type RoleName = (typeof roleNames)[number];
const roles = z
	.string()
	.default("")
	.transform((text) =>
		text
			.split(",")
			.map((role) => role.trim())
			.filter((role) => role !== ""),
	)
	.pipe(z.array(z.enum(roleNames, `names out of ${roleNames.join(", ")}, separated by commas`)));

/** Every option, once: environment variable, type, default, description. */
export const options = {
	port: option("THROUGHLINE_PORT", port, "8787", "Port of the gateway; 0 takes a free one."),
	host: option(
		"THROUGHLINE_HOST",
		z.string().default("127.0.0.1"),
		"127.0.0.1",
		"Address that the gateway listens on.",
	),
	data: option(
		"THROUGHLINE_DATA",
		z.string().default("./data"),
		"./data",
		"Folder of the stores, the log and the logs of the processes.",
	),
	roles: option(
		"THROUGHLINE_ROLES",
		roles,
		"",
		"Run one unsupervised process with these roles instead of the supervisor.",
	),
	name: option(
		"THROUGHLINE_NAME",
		words,
		"",
		"Name of this process in logs and in the entries that it writes; its roles when empty.",
	),
	config: option(
		"THROUGHLINE_CONFIG",
		words,
		"",
		"Folder of features, prompts and models.yaml; the project's own infra/config when empty.",
	),
	feature: option(
		"THROUGHLINE_FEATURE",
		z.string().default("assistant"),
		"assistant",
		"Feature that serves a request which names none.",
	),
	demo: option(
		"THROUGHLINE_DEMO",
		z.enum(["on", "off"], "on or off").default("on"),
		"on",
		"Whether the first start makes a demo tenant with the project's own documents.",
	),
	logLevel: option(
		"THROUGHLINE_LOG_LEVEL",
		z.enum(["debug", "info", "warn", "error", "silent"], "debug, info, warn, error or silent").default("info"),
		"info",
		"Least level of a log line.",
	),
	requestsPerMinute: option(
		"THROUGHLINE_REQUESTS_PER_MINUTE",
		count("600"),
		"600",
		"Requests that one tenant may start per minute, over all gateways.",
	),
	openRequests: option(
		"THROUGHLINE_OPEN_REQUESTS",
		count("100"),
		"100",
		"Requests that one tenant may have open at once, over all gateways.",
	),
	slots: option("THROUGHLINE_SLOTS", count("256"), "256", "Messages that one actor of one process works on at once."),
	logMaxAge: option(
		"LOG_MAX_AGE",
		z.string().default("24").transform(Number).pipe(z.number("hours, over 0").positive("hours, over 0")),
		"24",
		"Hours that the log of a request is kept; results are kept 30 days.",
	),
	natsUrl: option(
		"NATS_URL",
		words,
		"",
		"A nats-server (2.12 or newer) with JetStream; without it one is started in the data folder.",
	),
	openaiBaseUrl: option(
		"OPENAI_BASE_URL",
		words,
		"",
		"Any OpenAI-compatible server; without it and without a key the local extractive model answers.",
	),
	openaiKey: option("OPENAI_API_KEY", words, "", "Key for that server."),
} satisfies Record<string, Option<unknown>>;

export type Config = { [K in keyof typeof options]: z.infer<(typeof options)[K]["schema"]> };

/** Reads the options from an environment; throws one error that names every wrong one. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
	const faults: string[] = [];
	const values = Object.entries(options).map(([name, { env: variable, schema }]) => {
		const text = env[variable] === "" ? undefined : env[variable];
		const parsed = schema.safeParse(text);
		if (parsed.success) return [name, parsed.data];
		faults.push(`${variable} is expected to be ${parsed.error.issues[0]?.message}, got "${text}"`);
		return [name, undefined];
	});
	if (faults.length > 0) throw new Error(`configuration: ${faults.join("; ")}`);
	return Object.fromEntries(values) as Config;
}

/** The table that `npm run config` prints: one row per option. */
export function configTable(): string {
	const rows = Object.values(options).map(
		({ env, fallback, description }) => [env, fallback || "-", description] as const,
	);
	const width = (column: 0 | 1) => Math.max(...rows.map((row) => row[column].length));
	return rows.map(([env, preset, text]) => `${env.padEnd(width(0))}  ${preset.padEnd(width(1))}  ${text}`).join("\n");
}
