import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Entry } from "../../schemas/entry.ts";
import { visibleText } from "../../schemas/final.ts";
import { type App, startApp } from "../testing/app.ts";

let app: App;
let key: string;
let folder: string;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "throughline-cli-"));
	await mkdir(join(folder, "more"));
	await writeFile(join(folder, "kettle.md"), "# Kettles\n\nA kettle boils a litre of water in three minutes.\n");
	await writeFile(join(folder, "more/teapot.txt"), "A teapot keeps tea warm for half an hour.\n");
	await writeFile(join(folder, "broken.md"), new Uint8Array([0x66, 0xfc, 0x72]));
	app = await startApp();
	key = (await run(["keys", "create", "--tenant", "acme", "--principal", "anna", "--label", "test"])).stdout.trim();
}, 120_000);
afterAll(async () => {
	await app?.[Symbol.asyncDispose]();
	await rm(folder, { recursive: true, force: true });
});

/** Begins the program as a shell does, with pipes in the place of a terminal. */
function begin(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
	const { NATS_URL: _, THROUGHLINE_TOKEN: __, FORCE_COLOR: ___, ...inherited } = process.env;
	const { hostname, port } = new URL(app.url);
	const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...words], {
		env: { ...inherited, THROUGHLINE_DATA: app.data, THROUGHLINE_HOST: hostname, THROUGHLINE_PORT: port, ...env },
	});
	const said = { stdout: "", stderr: "" };
	for (const name of ["stdout", "stderr"] as const) {
		child[name].setEncoding("utf8").on("data", (part: string) => {
			said[name] += part;
		});
	}
	let isOver = false;
	const done = once(child, "close").then(([code]) => {
		isOver = true;
		return { code, ...said };
	});
	return {
		child,
		said,
		done,
		/** Resolves as soon as it has said something; rejects when it ends without. */
		async until(name: keyof typeof said, what: string): Promise<void> {
			while (!said[name].includes(what)) {
				if (isOver) throw new Error(`"${what}" is expected on ${name}, got:\n${said[name]}${said.stderr}`);
				await Promise.race([once(child[name], "data"), done]);
			}
		},
	};
}

function run(
	words: readonly string[],
	{ input = "", env = {} }: { input?: string; env?: Record<string, string> } = {},
) {
	const { child, done } = begin(words, env);
	child.stdin.end(input);
	return done;
}

const asAnna = () => ({ THROUGHLINE_TOKEN: key });
const requestIn = (stderr: string): string => /r_[a-z2-7]{26}/.exec(stderr)?.[0] ?? "";

test("a new key stands alone on stdout, is listed without its secret, and opens nothing once it is revoked", async () => {
	expect(key).toMatch(/^tl_acme_[\w-]{43}$/);
	const second = (await run(["keys", "create", "--tenant", "acme", "--principal", "bob", "--role", "editor"])).stdout;
	const listed = (await run(["keys", "list", "--tenant", "acme"])).stdout;
	expect(listed).toMatch(/anna +- +.* valid +test/);
	expect(listed).not.toContain(second.trim().slice(-43));
	const id = /^(\w{12}) +bob/m.exec(listed)?.[1] ?? "";
	expect((await run(["keys", "revoke", "--tenant", "acme", id])).stdout).toBe(`revoked ${id} of bob\n`);
	const refused = await run(["chat"], { input: "hello\n", env: { THROUGHLINE_TOKEN: second.trim() } });
	expect(refused).toMatchObject({
		code: 1,
		stdout: "",
		stderr: expect.stringContaining("does not know the key from THROUGHLINE_TOKEN"),
	});
});

test("a folder is taken in, names its broken file, is not sent twice, and what left it can be removed", async () => {
	const first = await run(["ingest", folder], { env: asAnna() });
	expect(first.code).toBe(1);
	expect(first.stdout).toContain("taken in   kettle.md (1 passage)\n");
	expect(first.stdout).toMatch(/^2 taken in, 0 unchanged, 1 failed · 2 passages/m);
	expect(first.stderr).toBe("not taken in:\n  broken.md  not valid UTF-8\n");
	const second = await run(["ingest", folder], { env: asAnna() });
	expect(second.stdout).toMatch(/^0 taken in, 2 unchanged, 1 failed/m);

	await rm(join(folder, "broken.md"));
	await rm(join(folder, "more/teapot.txt"));
	const third = await run(["ingest", folder, "--delete-missing"], { env: asAnna() });
	expect(third).toMatchObject({ code: 0, stderr: "" });
	expect(third.stdout).toContain("removed    more/teapot.txt\n");
	expect(third.stdout).toMatch(/^0 taken in, 1 unchanged, 1 removed, 0 failed/m);
});

test("a question on stdin is answered on stdout; its log shows who did what, and nothing that people wrote", async () => {
	const asked = await run(["chat"], { input: "How long does a kettle take to boil?\n", env: asAnna() });
	expect(asked.code, asked.stderr).toBe(0);
	expect(asked.stdout).toContain("boils a litre of water in three minutes [1]");
	expect(asked.stderr).toContain("searched: 1 passage: [1] kettle.md");
	expect(asked.stderr).toMatch(/\[1\] kettle\.md.*: “A kettle boils a litre/);

	const request = requestIn(asked.stderr);
	const shown = await run(["show", request, "--tenant", "acme"]);
	expect(shown.code, shown.stderr).toBe(0);
	expect(shown.stdout).toMatch(/gateway → session .*\n +#1 request\.accepted/);
	expect(shown.stdout).toMatch(/orchestration → inference/);
	expect(shown.stdout).toMatch(/^end: completed \(stop\)/m);
	expect(shown.stdout).not.toMatch(/kettle|anna|boil/i);
	const unredacted = await run(["show", request, "--tenant", "acme", "--unredacted"]);
	expect(unredacted.stdout).toContain('input="How long does a kettle take to boil?"');

	// Another tenant's request is as one that never was.
	const other = await run(["show", request, "--tenant", "demo"]);
	expect(other).toMatchObject({
		code: 1,
		stdout: "",
		stderr: expect.stringContaining(`demo has no request ${request}`),
	});
});

test("[G3] an answer whose gateway is killed goes on where it was", async () => {
	// Long enough a document that the answer takes a second or two.
	const long = join(import.meta.dirname, "../../gateway/PROTOCOL.md");
	expect(await run(["ingest", long], { env: asAnna() })).toMatchObject({ code: 0 });
	const { child, until, done } = begin(["chat"], asAnna());
	child.stdin.end("What happens to a client that does not read?\n");
	await until("stderr", "searched:");
	await app.kill9("gateway");
	const { code, stdout, stderr } = await done;
	expect(code, stderr).toBe(0);
	expect(stderr.match(/connection lost, resuming…/g)).toHaveLength(1);
	const log = await run(["show", requestIn(stderr), "--tenant", "acme", "--json", "--unredacted"]);
	const entries: Entry[] = log.stdout
		.trimEnd()
		.split("\n")
		.map((line) => JSON.parse(line));
	expect(stdout).toBe(`${visibleText(entries.flatMap(({ events }) => events))}\n`);
});

test("a tail shows the events of its tenant as they happen, and no others", async () => {
	const { child, said, until, done } = begin(["tail", "--tenant", "acme"]);
	await until("stderr", "from now on");
	const somebodyElse = { THROUGHLINE_TOKEN: await app.key("other") };
	expect(await run(["chat"], { input: "hello\n", env: somebodyElse })).toMatchObject({ code: 0 });
	const asked = await run(["chat"], { input: "hello\n", env: asAnna() });
	await until("stdout", "message.completed");
	child.kill("SIGINT");
	expect((await done).code).toBe(0);
	expect(said.stdout).toContain(requestIn(asked.stderr));
	expect(said.stdout.match(/request\.accepted/g)).toHaveLength(1);
	expect(said.stdout).not.toContain("hello");
});

test("where no server is, each command says so and what to do", async () => {
	const empty = await mkdtemp(join(tmpdir(), "throughline-empty-"));
	onTestFinished(() => rm(empty, { recursive: true }));
	const env = { THROUGHLINE_DATA: empty };
	// No server listens on so low a port.
	const nobody = await run(["chat", "--url", "http://127.0.0.1:2", "--token", "k"], { env });
	expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('Start it with "npm start"') });
	expect((await run(["chat"], { env })).stderr).toContain("npm run -s cli -- keys create");
	expect((await run(["tail"], { env })).stderr).toContain("has no nats-server");
	expect((await run(["keys", "list", "--tenant", "acme"], { env })).stderr).toContain("no documents.db is there");
});

test("an unknown command ends with 2 and names the nearest", async () => {
	const { code, stderr } = await run(["shwo"]);
	expect(code).toBe(2);
	expect(stderr).toContain('unknown command "shwo" (did you mean "show"?)');
});
