import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { lifeOf } from "./process.ts";

/**
 * Takes the data folder for this process until disposed; throws when another one has it.
 * The lock is an open SQLite transaction, so the operating system holds it and drops it with its holder, however that ends;
 * processes that the holder started do not inherit it. The number in `lock.pid` only serves the message.
 */
export function lockDataFolder(dataFolder: string): Disposable {
	const folder = resolve(dataFolder);
	mkdirSync(folder, { recursive: true });
	const database = new DatabaseSync(join(folder, "lock.sqlite"));
	try {
		database.exec("BEGIN EXCLUSIVE");
	} catch (problem) {
		database.close();
		if (!isBusy(problem)) throw problem;
		throw new Error(
			`The data folder ${folder} is in use by ${holder(folder)}. Stop that one, or set THROUGHLINE_DATA to another folder and THROUGHLINE_PORT to another port.`,
			{ cause: problem },
		);
	}
	writeFileSync(join(folder, "lock.pid"), String(process.pid));
	return {
		[Symbol.dispose]() {
			if (database.isOpen) database.close();
		},
	};
}

function isBusy(problem: unknown): boolean {
	const SQLITE_BUSY = 5;
	return problem instanceof Error && "errcode" in problem && problem.errcode === SQLITE_BUSY;
}

function holder(folder: string): string {
	try {
		const pid = Number(readFileSync(join(folder, "lock.pid"), "utf8"));
		if (pid > 0 && lifeOf(pid) !== undefined) return `process ${pid}`;
	} catch {
		// it has the lock and has not written its number yet
	}
	return "another process";
}
