import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { documentsContract } from "./documents.contract.ts";
import type { Change, Documents } from "./documents.ts";
import { openSqliteDocuments } from "./sqlite-documents.ts";
import type { Task } from "./testing/documents-process.ts";

const folder = mkdtempSync(join(tmpdir(), "documents-"));
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
const newFile = () => join(folder, `${++files}.db`);
const note = (id: string): Change => ({ op: "insert", kind: "note", id, value: id });

documentsContract("Documents on SQLite", async () => openSqliteDocuments(join(folder, "contract.db")));

test("a missing folder is made, and what was committed is there after the file is opened anew", async () => {
	const file = join(folder, "not", "there", "yet.db");
	const first = openSqliteDocuments(file);
	await first.commit("t", [note("a")]);
	await first.close();
	await expect(first.get("t", "note", "a")).rejects.toThrow(/yet\.db is closed/);
	expect(await opened(file).get("t", "note", "a")).toMatchObject({ value: "a" });
});

test("the file is in WAL mode, so that readers and a writer do not stop each other", () => {
	const file = newFile();
	opened(file);
	const raw = new DatabaseSync(file);
	onTestFinished(() => raw.close());
	expect(raw.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
});

test("a file of a newer version is refused with both versions named, and left as it is", () => {
	const file = newFile();
	const raw = new DatabaseSync(file);
	raw.exec("PRAGMA user_version = 7");
	raw.close();
	const before = readFileSync(file);
	expect(() => openSqliteDocuments(file)).toThrow(/version 7, this program knows version 1/);
	expect(readFileSync(file)).toEqual(before);
});

test("a file that is no database is refused by name", () => {
	const file = newFile();
	writeFileSync(file, "a letter to somebody, and no database at all\n".repeat(20));
	expect(() => openSqliteDocuments(file)).toThrow(`documents: ${file} cannot be opened`);
});

test("a commit waits for a lock of another process with the event loop free, and readers do not wait", async () => {
	const file = newFile();
	const documents = opened(file);
	await documents.commit("t", [note("a")]);
	const holder = holdLock(file);
	let settled = false;
	const waiting = documents.commit("t", [note("b")]).finally(() => {
		settled = true;
	});
	for (let turn = 0; turn < 20; turn++) {
		expect(await documents.get("t", "note", "a")).toMatchObject({ value: "a" });
		await nextTurn();
	}
	expect(settled).toBe(false);
	holder.exec("ROLLBACK");
	expect(await waiting).toBe("done");
});

test("a lock that is held for too long rejects and says what to do", async () => {
	const file = newFile();
	const documents = opened(file, { patienceMs: 0 });
	holdLock(file);
	await expect(documents.commit("t", [note("a")])).rejects.toThrow(/locked for more than 0 ms.*End the process/);
});

test("three processes that open a new file at the same moment all come up on one set of tables", async () => {
	const crew = await processes(3);
	for (let round = 0; round < 10; round++) {
		const file = newFile();
		expect(await together(crew, { do: "open", file, tenant: "t" })).toEqual([1, 1, 1]);
		expect(await opened(file).get("t", "count", "opened")).toMatchObject({ value: { value: 3 } });
	}
});

test("replaces by two processes lose no update", async () => {
	const file = newFile();
	const crew = await processes(2);
	expect(await together(crew, { do: "replace", times: 60, file, tenant: "t" })).toEqual([60, 60]);
	expect(await opened(file).get("t", "count", "replaced")).toMatchObject({ value: 120, version: 120 });
});

test("[I6] three processes together are admitted exactly up to the ceiling", async () => {
	const file = newFile();
	const crew = await processes(3);
	const admitted = await together(crew, { do: "add", times: 50, ceiling: 100, file, tenant: "t" });
	expect(admitted.reduce((sum, one) => sum + one, 0)).toBe(100);
	expect(await opened(file).get("t", "count", "bounded")).toMatchObject({ value: { value: 100 } });
});

test("kill -9 of a writer leaves every commit whole, and the file free for the others", async () => {
	const file = newFile();
	const documents = opened(file);
	let acknowledged = 0;
	for (let round = 0; round < 8; round++) {
		const [victim] = await processes(1);
		if (!victim) throw new Error("expected a process");
		victim.send({ do: "pairs", pairs: 100, file, tenant: "t" } satisfies Task);
		// The writer is in its next commit, or the one after it, when the news of this one arrives.
		for (let news = 0; news <= round % 3; news++) {
			await made(victim);
			acknowledged += 100;
		}
		victim.kill("SIGKILL");
		await once(victim, "exit");
		expect(await documents.commit("t", [note(`after ${round}`)])).toBe("done");
	}
	const [left, right] = await Promise.all(["left", "right"].map((kind) => idsOf(documents, kind)));
	expect(left).toEqual(right);
	expect(left).toEqual(await idsOf(documents, "left", ["side", "left"]));
	expect(await documents.get("t", "count", "pairs")).toMatchObject({ value: { value: left?.length } });
	expect(left?.length).toBeGreaterThanOrEqual(acknowledged);
});

function opened(file: string, options?: { patienceMs: number }): Documents {
	const documents = openSqliteDocuments(file, options);
	onTestFinished(() => documents.close());
	return documents;
}

/** Another connection that has the write lock, as a process in a transaction has it. */
function holdLock(file: string): DatabaseSync {
	const holder = new DatabaseSync(file);
	holder.exec("BEGIN IMMEDIATE");
	onTestFinished(() => holder.close());
	return holder;
}

async function processes(count: number): Promise<ChildProcess[]> {
	const path = join(import.meta.dirname, "testing", "documents-process.ts");
	const crew = Array.from({ length: count }, () => fork(path, { execArgv: [] }));
	onTestFinished(() => {
		for (const one of crew) one.kill("SIGKILL");
	});
	await Promise.all(crew.map(made));
	return crew;
}

/** The next answer of a process: how many commits it has made. Rejects when the process ends instead. */
async function made(one: ChildProcess): Promise<number> {
	const settled = new AbortController();
	const ended = once(one, "exit", settled).then(([code, signal]) => {
		throw new Error(`a process of the test ended with ${code ?? signal} instead of an answer`);
	});
	try {
		const [answer] = await Promise.race([once(one, "message", settled), ended]);
		return answer as number;
	} finally {
		settled.abort();
	}
}

/** Has every process do the task at the same time; they were started before, so that the tasks overlap. */
function together(crew: ChildProcess[], task: Task): Promise<number[]> {
	return Promise.all(
		crew.map((one) => {
			one.send(task);
			return made(one);
		}),
	);
}

async function idsOf(documents: Documents, kind: string, index?: [string, string]): Promise<string[]> {
	const found = await documents.list("t", kind, { limit: 100_000, ...(index ? { index } : {}) });
	return found.map(({ id }) => id);
}
