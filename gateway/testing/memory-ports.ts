import type { Log } from "../../subjects/log.ts";
import type { Identity } from "../credentials.ts";
import type { GatewayPorts, StoredResult } from "../ports.ts";

/** What the tests of the gateway see of its ports: small doubles in memory, around whatever log the test has. */
export type MemoryPorts = GatewayPorts & {
	results: GatewayPorts["results"] & { rows: Map<string, StoredResult> };
	owners: GatewayPorts["owners"] & { rows: Map<string, string> };
	admission: GatewayPorts["admission"] & {
		open: Set<string>;
		/** Set to refuse everybody. */
		refusal: { refused: "rate_limited" | "too_many_requests"; retryAfter: number } | undefined;
		/** Runs between the decision and its answer. */
		meanwhile: () => Promise<void>;
	};
	shelf: GatewayPorts["shelf"] & { contents: Map<string, string>; names: Set<string> };
	feedback: GatewayPorts["feedback"] & { recorded: unknown[] };
	credentials: GatewayPorts["credentials"] & { keys: Map<string, Identity> };
	missing: string[];
	/** Everything that was logged as an error. */
	faults: unknown[];
};

export const alice: Identity = { tenant: "acme", principal: "alice", roles: ["user"] };
export const bob: Identity = { tenant: "acme", principal: "bob", roles: ["user"] };
export const stranger: Identity = { tenant: "globex", principal: "alice", roles: ["user"] };

const features = {
	chat: { roles: [], deadline_ms: 60_000, session: "server" },
	stateless: { roles: [], deadline_ms: 60_000, session: "client" },
	ingest: { roles: [], deadline_ms: 60_000, session: "none" },
	admin: { roles: ["operator"], deadline_ms: 60_000, session: "none" },
} as const;

export function memoryPorts(log: Log): MemoryPorts {
	const results = new Map<string, StoredResult>();
	const owners = new Map<string, string>();
	const open = new Set<string>();
	const contents = new Map<string, string>();
	const names = new Set<string>();
	const recorded: unknown[] = [];
	const missing: string[] = [];
	const faults: unknown[] = [];
	const counts = new Map<string, number>();
	const keys = new Map([
		["alice-key", alice],
		["bob-key", bob],
		["stranger-key", stranger],
	]);
	return {
		log,
		missing,
		faults,
		credentials: { keys, identify: async (token) => keys.get(token) },
		results: { rows: results, find: async (tenant, request) => results.get(`${tenant}/${request}`) },
		owners: { rows: owners, ownerOf: async (tenant, session) => owners.get(`${tenant}/${session}`) },
		admission: {
			open,
			refusal: undefined,
			meanwhile: async () => {},
			async take(tenant, request) {
				if (this.refusal) return this.refusal;
				const taken = open.has(`${tenant}/${request}`) ? "held" : "taken";
				open.add(`${tenant}/${request}`);
				await this.meanwhile();
				return taken;
			},
			async giveBack(tenant, request) {
				open.delete(`${tenant}/${request}`);
			},
		},
		shelf: {
			contents,
			names,
			async list(_, after, limit) {
				const rows = [...names].sort().filter((name) => after === undefined || name > after);
				return rows.slice(0, limit).map((document_id) => ({
					document_id,
					name: document_id,
					media_type: "text/plain",
					sha256: "",
					bytes: 1,
					chunks: 1,
					version: 1,
					ingested_at: 1,
				}));
			},
			async putContent(tenant, request, sha256, text) {
				contents.set(`${tenant}/${request}/${sha256}`, text);
			},
			remove: async (_, id) => names.delete(id),
		},
		feedback: {
			recorded,
			async record(tenant, request, { at: _, ...given }) {
				recorded.push({ tenant, request, ...given });
			},
		},
		features: {
			sha256: "configuration",
			standard: "chat",
			find: (name) => (name in features ? features[name as keyof typeof features] : undefined),
		},
		meter: {
			count: (name) => counts.set(name, (counts.get(name) ?? 0) + 1),
			gauge() {},
			render: () => [...counts].map(([name, count]) => `${name} ${count}\n`).join(""),
		},
		ready: async () => missing,
		logger: { info() {}, warn() {}, error: (what) => faults.push(what) },
	};
}
