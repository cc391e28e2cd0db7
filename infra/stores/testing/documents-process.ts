import type { Change, Documents } from "../documents.ts";
import { openSqliteDocuments } from "../sqlite-documents.ts";

/**
 * A process of its own on a shared file, for the tests of SQLite: it does the tasks that its parent sends, one by one,
 * and answers each with the number of commits that were made.
 */
export type Task = { file: string; tenant: string } & (
	| { do: "open" }
	/** Counts a document up by reading and replacing it, again after every refusal, `times` times. */
	| { do: "replace"; times: number }
	/** Tries `times` adds of 1 under a ceiling. */
	| { do: "add"; times: number; ceiling: number }
	/** Commits `pairs` pairs of documents and their number at a time, for ever; answers after each commit. */
	| { do: "pairs"; pairs: number }
);

process.on("message", async (task: Task) => {
	const documents = openSqliteDocuments(task.file);
	const made = await perform(task, documents);
	await documents.close();
	answer(made);
});
// A test that ends early must leave no process behind.
process.on("disconnect", () => process.exit());
answer(0);

async function perform(task: Task, documents: Documents): Promise<number> {
	const commit = (...changes: Change[]) => documents.commit(task.tenant, changes);
	let made = 0;
	switch (task.do) {
		case "open":
			return (await commit({ op: "add", kind: "count", id: "opened", by: 1 })) === "done" ? 1 : 0;
		case "add":
			for (let tried = 0; tried < task.times; tried++) {
				const add: Change = { op: "add", kind: "count", id: "bounded", by: 1, ceiling: task.ceiling };
				if ((await commit(add)) === "done") made++;
			}
			return made;
		case "replace":
			while (made < task.times) {
				const found = await documents.get<number>(task.tenant, "count", "replaced");
				const change: Change = found
					? { op: "replace", kind: "count", id: "replaced", value: found.value + 1, version: found.version }
					: { op: "insert", kind: "count", id: "replaced", value: 1 };
				if ((await commit(change)) === "done") made++;
			}
			return made;
		case "pairs":
			for (;;) {
				await commit(...pairs(process.pid, made++, task.pairs));
				answer(made);
			}
	}
}

function pairs(writer: number, at: number, count: number): Change[] {
	const sides = Array.from({ length: count }, (_, pair) =>
		["left", "right"].map(
			(kind): Change => ({ op: "insert", kind, id: `${writer}-${at}-${pair}`, value: pair, indexes: { side: kind } }),
		),
	);
	return [...sides.flat(), { op: "add", kind: "count", id: "pairs", by: count }];
}

function answer(made: number): void {
	process.send?.(made);
}
