/** One change of a commit. All changes of a commit happen, or none. */
export type Change =
	| { op: "insert"; kind: string; id: string; value: unknown; indexes?: Record<string, string> }
	| { op: "replace"; kind: string; id: string; value: unknown; version: number; indexes?: Record<string, string> }
	/** Adds to a counter (absent counts as 0) unless the sum would pass `ceiling`. A counter reads as `{value: number}`. */
	| { op: "add"; kind: string; id: string; by: number; ceiling?: number }
	| { op: "remove"; kind: string; id: string };

/** Why a commit did nothing: the first change that could not be made. */
export type Refusal = { refused: "exists" | "version" | "ceiling" | "missing"; change: Change };

/** `version` counts from 1 and grows by one with every replace. */
export type Stored<T> = { id: string; value: T; version: number };

/** Which documents of a kind: by id prefix, or by the value of a declared index; in order of id, after a cursor. */
export type Where = { prefix?: string; index?: readonly [name: string, value: string]; after?: string; limit: number };

/** Product data of tenants: SQLite by default, MongoDB at scale. No call works without a tenant. */
export type Documents = {
	get<T>(tenant: string, kind: string, id: string): Promise<Stored<T> | undefined>;
	list<T>(tenant: string, kind: string, where: Where): Promise<Stored<T>[]>;
	commit(tenant: string, changes: readonly Change[]): Promise<"done" | Refusal>;
	close(): Promise<void>;
};
