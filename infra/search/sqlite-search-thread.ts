import { join } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { workerData } from "node:worker_threads";
import type { Hit } from "../../actors/retrieval/ports.ts";
import { matchExpression } from "./match-expression.ts";
import { openSearchFile } from "./search-file.ts";
import { serveThread } from "./thread.ts";

export type ThreadSettings = { folder: string; dimensions: number; maxOpenFiles: number };

type Asked = { tenant: string; labels: readonly string[]; limit: number };
export type IndexAsk = {
	tenant: string;
	document_id: string;
	labels: readonly string[];
	chunks: { chunk_id: string; title: string; text: string; tokens: number }[];
	/** All vectors, one after the other. */
	vectors: Float32Array;
};

export type SearchCalls = {
	index(ask: IndexAsk): void;
	delete(ask: { tenant: string; document_id: string }): void;
	lexical(ask: Asked & { text: string }): Hit[];
	vector(ask: Asked & { vector: Float32Array }): Hit[];
};

/** Documents that a query may see: without labels, or with one of the labels asked with (a JSON array). */
const VISIBLE = `SELECT id FROM document WHERE open = 1
	UNION SELECT document FROM label WHERE label IN (SELECT value FROM json_each(?))`;

/** The title says what a whole section is about, so a word in it weighs as much as three in the text. */
const LEXICAL = `
	SELECT chunk.chunk_id, document.document_id, chunk.title, chunk.text, chunk.tokens, -bm25(words, 3.0, 1.0) AS score
	FROM words JOIN chunk ON chunk.id = words.rowid JOIN document ON document.id = chunk.document
	WHERE words MATCH ? AND chunk.document IN (${VISIBLE})
	ORDER BY score DESC, chunk.id LIMIT ?`;

/*
 * vec0 compares the query with every vector whose id passes the filter, so the answer is exact and the k nearest are k
 * visible ones. It reads all vectors of the tenant: 2 ms per 1,000 chunks of 512 dimensions. Beyond about 50,000 chunks
 * of one tenant (100 ms a query) use an engine with an approximate index. Materialized, so that the join cannot be
 * pushed into the scan.
 */
const VECTOR = `
	WITH nearest AS MATERIALIZED (
		SELECT id, distance FROM embedding
		WHERE vector MATCH ? AND k = ? AND id IN (SELECT id FROM chunk WHERE document IN (${VISIBLE})))
	SELECT chunk.chunk_id, document.document_id, chunk.title, chunk.text, chunk.tokens, 1 - nearest.distance AS score
	FROM nearest JOIN chunk ON chunk.id = nearest.id JOIN document ON document.id = chunk.document
	ORDER BY score DESC, chunk.id`;

type OpenFile = { database: DatabaseSync; lexical: StatementSync; vector: StatementSync };

const { folder, dimensions, maxOpenFiles } = workerData as ThreadSettings;

/** Least recently used first. */
const files = new Map<string, OpenFile>();

/** The tenant's file, or nothing when it is not there and is not to be made: asking about a tenant leaves no trace. */
function fileOf(tenant: string, make: boolean): OpenFile | undefined {
	const held = files.get(tenant);
	files.delete(tenant);
	const database = held?.database ?? openSearchFile(join(folder, `${tenant}.db`), dimensions, make);
	if (database === undefined) return undefined;
	const file = held ?? { database, lexical: database.prepare(LEXICAL), vector: database.prepare(VECTOR) };
	files.set(tenant, file);
	for (const [oldest, { database: unused }] of files) {
		if (files.size <= maxOpenFiles) break;
		files.delete(oldest);
		unused.close();
	}
	return file;
}

/** All or nothing. Immediate, so that the wait for another writer happens at the start, where nothing is lost by it. */
function transaction(database: DatabaseSync, change: () => void): void {
	database.exec("BEGIN IMMEDIATE");
	try {
		change();
		database.exec("COMMIT");
	} catch (error) {
		if (database.isTransaction) database.exec("ROLLBACK");
		throw error;
	}
}

function removeDocument(database: DatabaseSync, document_id: string): void {
	const document = database.prepare("SELECT id FROM document WHERE document_id = ?").get(document_id);
	if (document === undefined) return;
	const id = Number(document.id);
	for (const table of ["words WHERE rowid", "embedding WHERE id"]) {
		database.prepare(`DELETE FROM ${table} IN (SELECT id FROM chunk WHERE document = ?)`).run(id);
	}
	database.prepare("DELETE FROM chunk WHERE document = ?").run(id);
	database.prepare("DELETE FROM document WHERE id = ?").run(id);
}

const calls: SearchCalls = {
	index({ tenant, document_id, labels, chunks, vectors }) {
		const database = fileOf(tenant, true)?.database;
		if (database === undefined) throw new Error(`The search file of tenant ${tenant} could not be made in ${folder}.`);
		transaction(database, () => {
			removeDocument(database, document_id);
			const addDocument = database.prepare("INSERT INTO document (document_id, open) VALUES (?, ?)");
			const document = addDocument.run(document_id, labels.length === 0 ? 1 : 0).lastInsertRowid;
			const addLabel = database.prepare("INSERT OR IGNORE INTO label (label, document) VALUES (?, ?)");
			for (const label of labels) addLabel.run(label, document);
			const addChunk = database.prepare(
				"INSERT INTO chunk (document, chunk_id, title, text, tokens) VALUES (?, ?, ?, ?, ?)",
			);
			const addWords = database.prepare("INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)");
			const addVector = database.prepare("INSERT INTO embedding (id, vector) VALUES (?, ?)");
			for (const [at, { chunk_id, title, text, tokens }] of chunks.entries()) {
				// vec0 takes integers only as 64 bit ones.
				const id = BigInt(addChunk.run(document, chunk_id, title, text, tokens).lastInsertRowid);
				addWords.run(id, title, text);
				addVector.run(id, vectors.subarray(at * dimensions, (at + 1) * dimensions));
			}
		});
	},
	delete({ tenant, document_id }) {
		const database = fileOf(tenant, false)?.database;
		if (database !== undefined) transaction(database, () => removeDocument(database, document_id));
	},
	lexical({ tenant, text, labels, limit }) {
		const match = matchExpression(text);
		if (match === undefined) return [];
		return (fileOf(tenant, false)?.lexical.all(match, JSON.stringify(labels), limit) ?? []) as Hit[];
	},
	vector({ tenant, vector, labels, limit }) {
		return (fileOf(tenant, false)?.vector.all(vector, limit, JSON.stringify(labels)) ?? []) as Hit[];
	},
};

serveThread(calls, () => {
	for (const { database } of files.values()) database.close();
	files.clear();
});
