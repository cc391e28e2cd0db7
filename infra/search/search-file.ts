import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { load } from "sqlite-vec";

/** Grows when the tables below change; a file of another version is refused, not guessed at. */
const VERSION = 1;

/** How long a statement waits for another process's lock before it fails with SQLITE_BUSY. */
const BUSY_MS = 10_000;

/*
 * `open` = 1: no labels, visible to the whole tenant. The full text index keeps no copy of the text (contentless); its
 * rowids and those of `embedding` are the ids of `chunk`. Whoever deletes a chunk deletes all three in one transaction.
 */
const TABLES = (dimensions: number) => `
	CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
	INSERT INTO setting VALUES ('dimensions', ${dimensions});
	CREATE TABLE document (id INTEGER PRIMARY KEY, document_id TEXT NOT NULL UNIQUE, open INTEGER NOT NULL);
	CREATE TABLE label (label TEXT NOT NULL, document INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE,
		PRIMARY KEY (label, document)) WITHOUT ROWID;
	CREATE INDEX label_document ON label(document);
	CREATE TABLE chunk (id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES document(id), chunk_id TEXT NOT NULL UNIQUE,
		title TEXT NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL);
	CREATE INDEX chunk_document ON chunk(document);
	CREATE VIRTUAL TABLE words USING fts5(title, text, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2');
	CREATE VIRTUAL TABLE embedding USING vec0(id INTEGER PRIMARY KEY, vector FLOAT[${dimensions}] distance_metric=cosine);
	PRAGMA user_version = ${VERSION};
`;

/**
 * Opens a search file, makes it when `make` says so, and checks that it fits. Several processes may do so at once.
 * Nothing when it is not there and is not to be made. Throws when it was made for other vectors or by another version.
 */
export function openSearchFile(path: string, dimensions: number, make: boolean): DatabaseSync | undefined {
	if (!make && !existsSync(path)) return undefined;
	if (make) mkdirSync(dirname(path), { recursive: true });
	const database = new DatabaseSync(path, { allowExtension: true, timeout: BUSY_MS });
	try {
		load(database);
		// SQL can load no library from here on, whatever else may go wrong.
		database.enableLoadExtension(false);
		database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
		const read = () => database.prepare("PRAGMA user_version").get()?.user_version;
		if (read() === 0) {
			// Immediate: of several processes that find an empty file one makes the tables, the others wait and find them.
			database.exec("BEGIN IMMEDIATE");
			if (read() === 0) database.exec(TABLES(dimensions));
			database.exec("COMMIT");
		}
		const version = read();
		if (version !== VERSION) {
			throw new Error(
				`The search file ${path} has version ${version}, expected ${VERSION}. Move it away and ingest the documents again.`,
			);
		}
		const held = database.prepare("SELECT value FROM setting WHERE name = 'dimensions'").get()?.value;
		if (held !== dimensions) {
			throw new Error(
				`The search file ${path} holds vectors of ${held} dimensions, the embeddings have ${dimensions}. Move it away and ingest the documents again.`,
			);
		}
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}
