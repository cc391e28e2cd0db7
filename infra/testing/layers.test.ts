import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
	importsOf,
	kebabCase,
	layers,
	noBarrels,
	noDefaults,
	noTestParts,
	packages,
	pureDeciders,
	type Rule,
	root,
	type Source,
} from "./layer-rules.ts";

const folders = ["actors", "subjects", "gateway", "schemas", "infra"];
const sources: Source[] = folders
	.flatMap((folder) =>
		readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
	)
	.filter((path) => path.endsWith(".ts"))
	.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

/** Every rule with files that break it, so that none of them is blind, and files that do not. */
const rules: {
	name: string;
	rule: Rule;
	breaks: [path: string, text: string][];
	holds: [path: string, text: string][];
}[] = [
	{
		name: "imports follow schemas ← subjects ← {actors, gateway} ← infra",
		rule: layers,
		breaks: [
			["schemas/a.ts", 'import { b } from "../subjects/b.ts";'],
			["schemas/a.ts", 'import { createHash } from "node:crypto";'],
			["schemas/a.ts", 'export { b } from "../infra/b.ts";'],
			["subjects/a.ts", 'import { z } from "zod";'],
			["subjects/a.ts", 'import { connect } from "nats";'],
			["subjects/a.ts", 'import type { A } from "../actors/actor.ts";'],
			["actors/actor.ts", 'import { a } from "./session/a.ts";'],
			["actors/session/a.ts", 'import type { A } from "../retrieval/ports.ts";'],
			["actors/session/a.ts", 'import {\n\ta,\n\tb,\n} from "../../infra/stores/documents.ts";'],
			["actors/tools/a.ts", 'import { readFile } from "node:fs/promises";'],
			["actors/tools/a.ts", 'const { get } = await import("undici");'],
			["actors/tools/a.ts", "const part = await import(name);"],
			["actors/tools/a.ts", 'const fs = process.getBuiltinModule("node:fs");'],
			["actors/inference/a.ts", 'import OpenAI from "openai";'],
			["gateway/a.ts", 'import { DatabaseSync } from "node:sqlite";'],
			["gateway/a.ts", 'import { request, STATUS_CODES } from "node:http";'],
			["gateway/a.ts", 'import { MongoClient } from "mongodb";'],
			["gateway/a.ts", 'import { a } from "../actors/session/ports.ts";'],
			["gateway/a.ts", 'import type * as uws from "uWebSockets.js";'],
			["gateway/uws.ts", 'import * as uws from "uWebSockets.js";'],
			["gateway/a.ts", 'import "../infra/main.ts";'],
			["gateway/a.ts", 'import { a } from "../../elsewhere/gateway/a.ts";'],
		],
		holds: [
			["schemas/events/a.ts", 'import { z } from "zod";\nimport { open } from "../privacy.ts";'],
			["subjects/a.ts", 'import { createHash } from "node:crypto";\nimport { TOKEN } from "../schemas/tokens.ts";'],
			["actors/retrieval/a.ts", 'import { count } from "gpt-tokenizer/encoding/o200k_base";\nimport "./b.ts";'],
			["actors/retrieval/a.ts", 'import type { Worker } from "../actor.ts";\nconst from = "nats";'],
			["gateway/doors/a.ts", 'import canonicalize from "canonicalize";\nimport { a } from "../a.ts";'],
			["gateway/a.ts", 'import { STATUS_CODES } from "node:http";'],
			["gateway/uws-socket.ts", 'import type * as uws from "uWebSockets.js";'],
			["infra/a.ts", 'import { connect } from "nats";\nimport { a } from "../actors/session/session.ts";'],
			["gateway/a.test.ts", 'import { a } from "../infra/log.ts";'],
			["gateway/testing/a.ts", 'import { a } from "../../infra/log.ts";'],
			["subjects/log.contract.ts", 'import { test } from "vitest";'],
		],
	},
	{
		name: "nothing that runs for users imports a part of tests",
		rule: noTestParts,
		breaks: [
			["infra/main.ts", 'import { a } from "./testing/nats.ts";'],
			["gateway/a.ts", 'import { a } from "./testing/story.ts";'],
			["infra/log.ts", 'import { logContract } from "../subjects/log.contract.ts";'],
		],
		holds: [
			["infra/bench/a.ts", 'import { a } from "../testing/scripted-provider.ts";'],
			["infra/a.test.ts", 'import { a } from "./testing/nats.ts";'],
		],
	},
	{
		name: "package.json gives every package that is imported, and built-in parts have their node: name",
		rule: packages,
		breaks: [
			["infra/a.ts", 'import { a } from "left-pad";'],
			["infra/a.ts", 'import { test } from "vitest";'],
			["infra/a.ts", 'import { join } from "path";'],
			["infra/a.ts", 'import { a } from "node:nothing";'],
			["infra/a.test.ts", 'import { a } from "jest";'],
		],
		holds: [
			["infra/a.ts", 'import { DatabaseSync } from "node:sqlite";\nimport { a } from "@nats-io/jetstream";'],
			["infra/a.test.ts", 'import { test } from "node:test";\nimport { expect } from "vitest";'],
		],
	},
	{
		name: "there are no barrels",
		rule: noBarrels,
		breaks: [
			["schemas/index.ts", "export const a = 1;"],
			["schemas/a.ts", 'export * from "./b.ts";'],
			["schemas/a.ts", '/** All. */\nexport { b } from "./b.ts";\nexport {\n\tc,\n\td,\n} from "./c.ts";'],
		],
		holds: [["schemas/a.ts", 'import { b } from "./b.ts";\n\nexport type { C } from "./c.ts";\nexport const a = b;']],
	},
	{
		name: "there are no default exports",
		rule: noDefaults,
		breaks: [
			["infra/a.ts", "export default 1;"],
			["infra/a.ts", "const a = 1;\nexport { a as default };"],
		],
		holds: [["infra/testing/vitest.config.ts", "export default {};"]],
	},
	{
		name: "files and folders are kebab-case",
		rule: kebabCase,
		breaks: [
			["infra/bus/natsServer.ts", ""],
			["infra/bus/nats_server.ts", ""],
			["infra/Bus/nats.ts", ""],
		],
		holds: [["infra/bus/nats-server.test.ts", ""]],
	},
	{
		name: "deciders know neither clock nor chance nor the world",
		rule: pureDeciders,
		breaks: [
			"Date.now()",
			"new Date()",
			"Math.random()",
			"randomUUID()",
			"setTimeout(f)",
			"console.log(1)",
			"process.env",
			"await f()",
		].map((code) => ["actors/orchestration/a.ts", `const a = ${code};`]),
		holds: [
			["actors/orchestration/a.ts", 'import { createHash } from "node:crypto";\nconst processed = a.at;'],
			["actors/orchestration/a.test.ts", "const a = Math.random();"],
			["actors/inference/a.ts", "const a = Date.now();"],
		],
	},
];

test("all source files are read", () => {
	expect(sources.map(({ path }) => path)).toEqual(
		expect.arrayContaining([
			"schemas/events/all.ts",
			"subjects/log.ts",
			"actors/actor.ts",
			"gateway/uws.ts",
			"infra/testing/layers.test.ts",
		]),
	);
	const session = sources.find(({ path }) => path === "schemas/events/session.ts");
	expect(session && importsOf(session).map(({ specifier }) => specifier)).toEqual([
		"zod",
		"../event.ts",
		"../privacy.ts",
		"./request.ts",
	]);
});

describe.each(rules.map((rule) => [rule.name, rule] as const))("%s", (_, { rule, breaks, holds }) => {
	test("in every file", () => {
		expect(sources.flatMap(rule)).toEqual([]);
	});

	test("a file that breaks it is found, one that does not is not", () => {
		for (const [path, text] of breaks) expect(rule({ path, text }), `${path}: ${text}`).not.toEqual([]);
		for (const [path, text] of holds) expect(rule({ path, text }), `${path}: ${text}`).toEqual([]);
	});
});

const topLevel = [
	"LICENSE",
	"README.md",
	"actors",
	"gateway",
	"infra",
	"package-lock.json",
	"package.json",
	"schemas",
	"subjects",
	"tsconfig.json",
];

/** Names at the top of the repository: what git keeps, or, in a copy without its history, what lies there and is not ignored. */
function namesAtTop(): string[] {
	try {
		// The folder may belong to another user, as in a container; reading the list needs no trust.
		const listed = execFileSync("git", ["-c", "safe.directory=*", "ls-files", "-z"], {
			cwd: root,
			encoding: "utf8",
			stdio: "pipe",
		});
		return [...new Set(listed.split("\0").map((path) => path.split("/")[0] ?? ""))].filter((name) => name !== "");
	} catch {
		const ignored = readFileSync(join(root, ".gitignore"), "utf8")
			.split("\n")
			.map((line) => line.replace(/\/$/, ""));
		return readdirSync(root).filter((name) => !ignored.includes(name));
	}
}

const strayNames = (found: readonly string[]) => ({
	stray: found.filter((name) => !name.startsWith(".") && !topLevel.includes(name)),
	missing: topLevel.filter((name) => !found.includes(name)),
});

test("the top of the repository holds the five folders, the package's files, README, LICENSE and nothing else", () => {
	expect(strayNames(namesAtTop())).toEqual({ stray: [], missing: [] });
	expect(strayNames([...topLevel, ".ci", "docs"]).stray).toEqual(["docs"]);
	expect(strayNames(topLevel.slice(1)).missing).toEqual(["LICENSE"]);
});
