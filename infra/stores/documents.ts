/**
 * One change of a commit. All changes of a commit happen, or none; a later change sees the earlier ones.
 *
 * `indexes` declares under which names and values `list` finds the document: they stand for this version alone, so a
 * `replace` without them takes the document out of every index.
 */
export type Change =
	| { op: "insert"; kind: string; id: string; value: unknown; indexes?: Record<string, string> }
	| { op: "replace"; kind: string; id: string; value: unknown; version: number; indexes?: Record<string, string> }
	/**
	 * Adds to a counter (absent counts as 0) unless the sum would pass `ceiling`; a step down never passes it. `by` and
	 * the sum are safe integers, so a counter is exact: count money in its smallest unit. A counter is a document like
	 * any other with the value `{value: number}`; adding to a document of another shape rejects.
	 */
	| { op: "add"; kind: string; id: string; by: number; ceiling?: number }
	| { op: "remove"; kind: string; id: string };

/**
 * Why a commit did nothing: the first change that could not be made. `exists` answers an insert, `missing` a replace or
 * remove, `version` a replace, `ceiling` an add.
 */
export type Refusal = { refused: "exists" | "version" | "ceiling" | "missing"; change: Change };

/** `version` counts from 1 and grows by one with every replace or add; a removed and inserted document starts anew. */
export type Stored<T> = { id: string; value: T; version: number };

/**
 * Which documents of a kind: by id prefix, by the value of a declared index, or by both. They come in order of id (by
 * code point), at most `limit`, those after the id `after` only; `after` need not be the id of a document. To page, pass
 * the last id of a page as `after` of the next, until a page is shorter than its limit.
 */
export type Where = { prefix?: string; index?: readonly [name: string, value: string]; after?: string; limit: number };

/**
 * Product data of tenants: SQLite by default, MongoDB at scale. No call works without a tenant, and no tenant sees or
 * changes what another one has.
 *
 * Tenants are tokens (`[A-Za-z0-9_-]{1,64}`); kinds, ids, index names and index values are strings of 1 to 512 UTF-16
 * code units without lone surrogates. Values are JSON: plain objects, lists, strings, finite numbers, booleans, null; a
 * property whose value is undefined is left out. Anything else rejects, as does a store that cannot be reached; a
 * refusal is an answer, never a rejection, and a race between commits is settled inside (one of them is refused or
 * comes second, none rejects).
 */
export type Documents = {
	get<T>(tenant: string, kind: string, id: string): Promise<Stored<T> | undefined>;
	/** Each page is read at one moment; two pages of a listing may have commits between them. */
	list<T>(tenant: string, kind: string, where: Where): Promise<Stored<T>[]>;
	/** Answers when the commit is durable as far as the store promises: it survives the kill of any process. */
	commit(tenant: string, changes: readonly Change[]): Promise<"done" | Refusal>;
	/** Ends the connection; calls after it reject. Closing twice is no error. */
	close(): Promise<void>;
};
