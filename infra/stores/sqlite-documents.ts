import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import type { Change, Documents, Refusal, Stored, Where } from "./documents.ts";
import { addedTo, checkChange, checkName, checkPlace, checkTenant, checkWhere } from "./documents-checks.ts";

/** Counts up with every change of the tables; a process refuses a file that a newer one has written. */
const SCHEMA_VERSION = 1;

/**
 * `documents.indexes` repeats what stands in `document_indexes`, so that an update knows which rows to take away without
 * another index to keep. Text is compared as bytes of UTF-8, which is the order of code points.
 */
const SCHEMA = `
	CREATE TABLE documents (
		tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
		version INTEGER NOT NULL, value TEXT NOT NULL, indexes TEXT NOT NULL,
		PRIMARY KEY (tenant, kind, id)
	) STRICT;
	CREATE TABLE document_indexes (
		tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, id TEXT NOT NULL,
		PRIMARY KEY (tenant, kind, name, value, id)
	) STRICT, WITHOUT ROWID;
	PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** How long SQLite itself may wait for another process, in ms: it blocks the event loop while it does. */
const BLOCKING_MS = 5;
/** How long an open may wait in that way; it happens at start, when several processes come up together. */
const OPEN_BLOCKING_MS = 10_000;

type Row = { id: string; version: number; value: string };
type Indexed = Row & { indexes: string };

/** A commit on its way: its changes, checked, and whom to tell. */
type Waiting = {
	tenant: string;
	changes: readonly Change[];
	values: readonly string[];
	resolve(result: "done" | Refusal): void;
	reject(problem: unknown): void;
};

/**
 * Documents in one SQLite file that any number of processes of one machine share. The folder and the tables are made
 * when they are missing. Throws when the file cannot be opened, is no database, or was written by a newer version.
 *
 * A commit is a part of one transaction that never spans an await. It survives the kill of any process, and with
 * `synchronous = normal` a power loss may take the last ones, whole. When another process holds the write lock, a call
 * waits without blocking the event loop and rejects after `patienceMs` (default 10 s).
 */
export function openSqliteDocuments(file: string, { patienceMs = 10_000 }: { patienceMs?: number } = {}): Documents {
	const database = openFile(file);
	const find = database.prepare(
		"SELECT id, version, value, indexes FROM documents WHERE tenant = ? AND kind = ? AND id = ?",
	);
	const insert = database.prepare(
		"INSERT INTO documents (tenant, kind, id, version, value, indexes) VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO NOTHING",
	);
	const update = database.prepare(
		"UPDATE documents SET version = version + 1, value = ?, indexes = ? WHERE tenant = ? AND kind = ? AND id = ?",
	);
	const remove = database.prepare("DELETE FROM documents WHERE tenant = ? AND kind = ? AND id = ?");
	const enter = database.prepare("INSERT INTO document_indexes (tenant, kind, name, value, id) VALUES (?, ?, ?, ?, ?)");
	const leave = database.prepare(
		"DELETE FROM document_indexes WHERE tenant = ? AND kind = ? AND name = ? AND value = ? AND id = ?",
	);
	const begin = database.prepare("BEGIN IMMEDIATE");
	const end = database.prepare("COMMIT");
	const savepoint = database.prepare("SAVEPOINT one");
	const release = database.prepare("RELEASE one");
	const undo = database.prepare("ROLLBACK TO one");
	// `+id` keeps SQLite from taking the cursor as its lower bound when the prefix is the closer one.
	const range = "id >= max(:prefix, :after) AND +id > :after AND id < :end ORDER BY id LIMIT :limit";
	const listKind = database.prepare(
		`SELECT id, version, value FROM documents WHERE tenant = :tenant AND kind = :kind AND ${range}`,
	);
	const listIndex = database.prepare(
		`SELECT id, version, documents.value FROM document_indexes JOIN documents USING (tenant, kind, id)
		WHERE tenant = :tenant AND kind = :kind AND name = :name AND document_indexes.value = :index AND ${range}`,
	);

	/** Brings the rows of `document_indexes` from what the document had to what it declares now. */
	function reindex(tenant: string, { kind, id }: Change, before: string, after: string): void {
		if (before === after) return;
		for (const [name, value] of declared(before)) leave.run(tenant, kind, name, value, id);
		for (const [name, value] of declared(after)) enter.run(tenant, kind, name, value, id);
	}

	/** Makes one change inside a transaction, or says why it cannot be made. `json` is the value that the change brings. */
	function apply(tenant: string, change: Change, json: string): Refusal["refused"] | undefined {
		const { kind, id } = change;
		if (change.op === "insert") {
			const indexes = JSON.stringify(change.indexes ?? {});
			if (insert.run(tenant, kind, id, json, indexes).changes === 0) return "exists";
			reindex(tenant, change, "{}", indexes);
			return undefined;
		}
		const found = find.get(tenant, kind, id) as Indexed | undefined;
		if (change.op === "add") {
			const sum = addedTo(found ? JSON.parse(found.value) : { value: 0 }, change);
			if (sum === "ceiling") return "ceiling";
			const counter = JSON.stringify({ value: sum });
			if (found) update.run(counter, found.indexes, tenant, kind, id);
			else insert.run(tenant, kind, id, counter, "{}");
			return undefined;
		}
		if (!found) return "missing";
		if (change.op === "remove") {
			remove.run(tenant, kind, id);
			reindex(tenant, change, found.indexes, "{}");
			return undefined;
		}
		if (found.version !== change.version) return "version";
		const indexes = JSON.stringify(change.indexes ?? {});
		update.run(json, indexes, tenant, kind, id);
		reindex(tenant, change, found.indexes, indexes);
		return undefined;
	}

	/** Makes the changes of one commit inside a transaction; undoes them when one cannot be made. */
	function tryCommit({ tenant, changes, values }: Waiting): "done" | Refusal | { failed: unknown } {
		savepoint.run();
		try {
			for (const [at, change] of changes.entries()) {
				const refused = apply(tenant, change, values[at] ?? "");
				if (!refused) continue;
				undo.run();
				return { refused, change };
			}
			return "done";
		} catch (failed) {
			if (isBusy(failed)) throw failed;
			undo.run();
			return { failed };
		} finally {
			if (database.isTransaction) release.run();
		}
	}

	/** Several commits, start to end in one turn of the event loop: what one of them is refused is nothing to the others. */
	function transact(commits: readonly Waiting[]): ReturnType<typeof tryCommit>[] {
		// IMMEDIATE takes the write lock before the first read, so what is read cannot be overtaken before the write.
		begin.run();
		try {
			const results = commits.map(tryCommit);
			end.run();
			return results;
		} finally {
			if (database.isTransaction) database.exec("ROLLBACK");
		}
	}

	let waiting: Waiting[] = [];
	let flushing = false;

	/** Whatever came within one turn of the event loop, or while another process had the lock, shares a transaction: most of a commit's cost is the file's. */
	async function flush(): Promise<void> {
		while (waiting.length > 0) {
			const commits = waiting;
			waiting = [];
			try {
				const results = await patiently(() => transact(commits));
				for (const [at, { resolve, reject }] of commits.entries()) {
					const result = results[at] ?? "done";
					if (result !== "done" && "failed" in result) reject(result.failed);
					else resolve(result);
				}
			} catch (problem) {
				for (const { reject } of commits) reject(problem);
			}
		}
		flushing = false;
	}

	function join(tenant: string, changes: readonly Change[], values: readonly string[]): Promise<"done" | Refusal> {
		return new Promise((resolve, reject) => {
			waiting.push({ tenant, changes, values, resolve, reject });
			if (flushing) return;
			flushing = true;
			setImmediate(() => void flush());
		});
	}

	/** Runs `attempt` until no other process is in its way; waits between the tries with the event loop free. */
	async function patiently<T>(attempt: () => T): Promise<T> {
		const started = performance.now();
		for (;;) {
			if (!database.isOpen) throw new Error(`documents: ${file} is closed. Stop what still uses it before closing it.`);
			try {
				return attempt();
			} catch (error) {
				if (!isBusy(error)) throw error;
				if (performance.now() - started > patienceMs) {
					throw new Error(
						`documents: ${file} was locked for more than ${patienceMs} ms. End the process that holds it, or move bulk work to a file of its own.`,
						{ cause: error },
					);
				}
			}
			await delay(1 + Math.random() * BLOCKING_MS);
		}
	}

	return {
		async get<T>(tenant: string, kind: string, id: string) {
			checkPlace(tenant, kind, id);
			const row = await patiently(() => find.get(tenant, kind, id) as Row | undefined);
			return row && stored<T>(row);
		},
		async list<T>(tenant: string, kind: string, where: Where) {
			checkTenant(tenant);
			checkName("the kind", kind);
			checkWhere(where);
			const { prefix = "", after = "", limit } = where;
			const bounds = { tenant, kind, prefix, after, end: endOf(prefix), limit };
			const rows = await patiently(() =>
				where.index ? listIndex.all({ ...bounds, name: where.index[0], index: where.index[1] }) : listKind.all(bounds),
			);
			return (rows as Row[]).map((row) => stored<T>(row));
		},
		async commit(tenant: string, changes: readonly Change[]) {
			checkTenant(tenant);
			// Everything that costs time or can throw is done before the lock is taken.
			const values = changes.map((change) => checkChange(tenant, change));
			return changes.length === 0 ? "done" : join(tenant, changes, values);
		},
		async close() {
			if (database.isOpen) database.close();
		},
	};
}

function openFile(file: string): DatabaseSync {
	mkdirSync(dirname(file), { recursive: true });
	let database: DatabaseSync | undefined;
	try {
		database = new DatabaseSync(file, { timeout: OPEN_BLOCKING_MS });
		prepareFile(database);
		database.exec(`PRAGMA synchronous = normal; PRAGMA busy_timeout = ${BLOCKING_MS}`);
		return database;
	} catch (error) {
		database?.close();
		const reason = error instanceof Error ? error.message : String(error);
		throw new Error(`documents: ${file} cannot be opened: ${reason}`, { cause: error });
	}
}

/** Switches the file to WAL and makes the tables, once, however many processes open it at the same moment. */
function prepareFile(database: DatabaseSync): void {
	if (schemaVersion(database) === SCHEMA_VERSION) return;
	useWal(database);
	database.exec("BEGIN IMMEDIATE");
	// Another process may have made the tables between the look above and the lock.
	if (schemaVersion(database) === 0) database.exec(SCHEMA);
	database.exec("COMMIT");
}

/** Throws for a file that is newer than this code, and leaves it as it is. */
function schemaVersion(database: DatabaseSync): number {
	const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
	if (version > SCHEMA_VERSION) {
		throw new Error(
			`it has version ${version}, this program knows version ${SCHEMA_VERSION} and older. Start a newer program, or use another data folder.`,
		);
	}
	return version;
}

/** WAL is a property of the file and stays. SQLite does not wait its busy time-out for this switch, so we do. */
function useWal(database: DatabaseSync): void {
	const started = performance.now();
	for (;;) {
		try {
			database.exec("PRAGMA journal_mode = wal");
			return;
		} catch (error) {
			if (!isBusy(error) || performance.now() - started > OPEN_BLOCKING_MS) throw error;
		}
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1 + Math.random() * BLOCKING_MS);
	}
}

/** SQLITE_BUSY is 5; the bits above the first eight say why. */
function isBusy(error: unknown): boolean {
	return (
		error instanceof Error && "errcode" in error && typeof error.errcode === "number" && (error.errcode & 0xff) === 5
	);
}

function stored<T>({ id, value, version }: Row): Stored<T> {
	return { id, value: JSON.parse(value) as T, version };
}

function declared(indexes: string): [name: string, value: string][] {
	return Object.entries(JSON.parse(indexes) as Record<string, string>);
}

/** The first value after every id that starts with `prefix`. A blob stands after all text, so it ends the ranges that no text can. */
function endOf(prefix: string): string | Uint8Array {
	const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
	for (let last = points.pop(); last !== undefined; last = points.pop()) {
		if (last === 0x10ffff) continue;
		// The code points after U+D7FF are surrogates, which stand for nothing alone.
		return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
	}
	return new Uint8Array();
}
