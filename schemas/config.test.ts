import { expect, test } from "vitest";
import { configTable, options, readConfig } from "./config.ts";

test("an empty environment gives the documented defaults", () => {
	expect(readConfig({})).toEqual({
		port: 8787,
		host: "127.0.0.1",
		data: "./data",
		roles: [],
		// Empty means the folder of this package, wherever the process was started.
		config: "",
		feature: "assistant",
		demo: "on",
		logLevel: "info",
		requestsPerMinute: 600,
		openRequests: 100,
		slots: 256,
		logMaxAge: 24,
		name: "",
		natsUrl: "",
		openaiBaseUrl: "",
		openaiKey: "",
	});
});

test("what the table calls the default is the default", () => {
	const fallbacks = Object.fromEntries(Object.values(options).map(({ env, fallback }) => [env, fallback]));
	expect(readConfig({ ...fallbacks, THROUGHLINE_CONFIG: "" })).toEqual(readConfig({}));
});

test("a variable set to nothing is not set", () => {
	expect(readConfig({ THROUGHLINE_PORT: "", NATS_URL: "", THROUGHLINE_LOG_LEVEL: "" })).toEqual(readConfig({}));
});

test("values are read in their types", () => {
	expect(
		readConfig({
			THROUGHLINE_PORT: "0",
			THROUGHLINE_ROLES: "gateway, session,inference,",
			THROUGHLINE_LOG_LEVEL: "debug",
			THROUGHLINE_OPEN_REQUESTS: "1",
			LOG_MAX_AGE: "0.5",
			NATS_URL: "nats://127.0.0.1:4222",
		}),
	).toMatchObject({
		port: 0,
		roles: ["gateway", "session", "inference"],
		logLevel: "debug",
		openRequests: 1,
		logMaxAge: 0.5,
		natsUrl: "nats://127.0.0.1:4222",
	});
});

test.each<[variable: string, value: string, expected: string]>([
	["THROUGHLINE_PORT", "65536", "a port, 0 to 65535"],
	["THROUGHLINE_PORT", "-1", "a port, 0 to 65535"],
	["THROUGHLINE_PORT", "80.5", "a port, 0 to 65535"],
	["THROUGHLINE_PORT", "http", "a port, 0 to 65535"],
	[
		"THROUGHLINE_ROLES",
		"gateway,kitchen",
		"names out of gateway, session, orchestration, retrieval, tools, inference, telemetry, separated by commas",
	],
	["THROUGHLINE_LOG_LEVEL", "loud", "debug, info, warn, error or silent"],
	["THROUGHLINE_REQUESTS_PER_MINUTE", "0", "a whole number from 1 on"],
	["THROUGHLINE_REQUESTS_PER_MINUTE", "many", "a whole number from 1 on"],
	["THROUGHLINE_OPEN_REQUESTS", "1.5", "a whole number from 1 on"],
	["THROUGHLINE_SLOTS", "-4", "a whole number from 1 on"],
	["LOG_MAX_AGE", "0", "hours, over 0"],
	["LOG_MAX_AGE", "1d", "hours, over 0"],
])("%s=%s is a fault that says what is expected", (variable, value, expected) => {
	expect(() => readConfig({ [variable]: value })).toThrow(
		new Error(`configuration: ${variable} is expected to be ${expected}, got "${value}"`),
	);
});

test("every fault is named at once", () => {
	const environment = { THROUGHLINE_PORT: "x", LOG_MAX_AGE: "-1", THROUGHLINE_SLOTS: "0" };
	expect(() => readConfig(environment)).toThrow(
		/THROUGHLINE_PORT .* got "x"; THROUGHLINE_SLOTS .* got "0"; LOG_MAX_AGE .* got "-1"$/,
	);
});

test("the table has one row per option", () => {
	expect(configTable()).toMatchInlineSnapshot(`
		"THROUGHLINE_PORT                 8787       Port of the gateway; 0 takes a free one.
		THROUGHLINE_HOST                 127.0.0.1  Address that the gateway listens on.
		THROUGHLINE_DATA                 ./data     Folder of the stores, the log and the logs of the processes.
		THROUGHLINE_ROLES                -          Run one unsupervised process with these roles instead of the supervisor.
		THROUGHLINE_NAME                 -          Name of this process in logs and in the entries that it writes; its roles when empty.
		THROUGHLINE_CONFIG               -          Folder of features, prompts and models.yaml; the project's own infra/config when empty.
		THROUGHLINE_FEATURE              assistant  Feature that serves a request which names none.
		THROUGHLINE_DEMO                 on         Whether the first start makes a demo tenant with the project's own documents.
		THROUGHLINE_LOG_LEVEL            info       Least level of a log line.
		THROUGHLINE_REQUESTS_PER_MINUTE  600        Requests that one tenant may start per minute, over all gateways.
		THROUGHLINE_OPEN_REQUESTS        100        Requests that one tenant may have open at once, over all gateways.
		THROUGHLINE_SLOTS                256        Messages that one actor of one process works on at once.
		LOG_MAX_AGE                      24         Hours that the log of a request is kept; results are kept 30 days.
		NATS_URL                         -          A nats-server (2.12 or newer) with JetStream; without it one is started in the data folder.
		OPENAI_BASE_URL                  -          Any OpenAI-compatible server; without it and without a key the local extractive model answers.
		OPENAI_API_KEY                   -          Key for that server."
	`);
});
