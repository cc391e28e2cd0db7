import { randomUUID } from "node:crypto";
import type { Msg } from "nats";
import type { Address, Entry } from "../../schemas/entry.ts";
import { LOG_STREAM } from "../../subjects/catalog.ts";
import { decode, encode, isStart, stamp } from "../../subjects/encoding.ts";
import type { Conflict, Log } from "../../subjects/log.ts";
import { entrySubject, PUSH_PREFIX, pushedRequest, pushedSession, requestSubjects } from "../../subjects/subjects.ts";
import { type Link, LinkLost } from "./link.ts";

/** Both mean that somebody else appended first; the second comes from servers with replicas (L3). */
const WRONG_LAST_SEQUENCE = 10071;
const WRONG_LAST_SEQUENCE_CONSTANT = 10164;
/** The stream is at its limit (`discard: new`). */
const STREAM_FULL = [10077, 10047, 10023];

const NOT_FOUND = 404;

const DIRECT_GET = `$JS.API.DIRECT.GET.${LOG_STREAM}`;
const BATCH = 1_024;
const READ_TRIES = 20;

export type JetStreamLogOptions = {
	link: Link;
	/** Name of this process, in every entry that it writes. */
	writer: string;
	/** Milliseconds that a call waits for a broker that is away. */
	patienceMs: number;
};

/** An entry whose ack was lost and that a read found, with what others have appended behind it since. */
type Settled = Entry & { behind?: readonly Entry[] };

/** What an append learned by the way about entries behind its own; whoever appended has to look at it (L3: after any read). */
export const behind = (appended: Settled): readonly Entry[] => appended.behind ?? [];

type Published = { position: number } | "conflict";

/** The log on NATS JetStream. */
export function jetStreamLog({ link, writer, patienceMs }: JetStreamLogOptions): Log {
	async function publish(entry: Entry, bytes: Uint8Array): Promise<Published> {
		const answer = await link.ask(entrySubject(entry, entry.audience), bytes, {
			"Nats-Expected-Last-Subject-Sequence": String(entry.after),
			"Nats-Expected-Last-Subject-Sequence-Subject": requestSubjects(entry.tenant, entry.request),
		});
		const ack: { seq?: number; error?: { err_code: number; description: string } } = answer.json();
		// A refusal carries a sequence too: 0.
		if (!ack.error && ack.seq) return { position: ack.seq };
		const code = ack.error?.err_code ?? 0;
		if (code === WRONG_LAST_SEQUENCE || code === WRONG_LAST_SEQUENCE_CONSTANT) return "conflict";
		if (STREAM_FULL.includes(code)) throw new LinkLost(`the log is full (${ack.error?.description})`);
		throw new LinkLost(`the broker refused an append: ${code} ${ack.error?.description}`);
	}

	/** The last entry of each audience. */
	async function lastPerAudience(tenant: string, request: string): Promise<Entry[]> {
		const filter = requestSubjects(tenant, request);
		const messages = await link.collect(DIRECT_GET, JSON.stringify({ multi_last: [filter], batch: 16 }));
		return messages.map(entryOf).sort(byPosition);
	}

	/** Every entry of one literal subject in (`position`, `last`]. A batch may stop early without a word, so go on until `last` is there. */
	async function literal(subject: string, position: number, last: number): Promise<Entry[]> {
		const entries: Entry[] = [];
		let at = position;
		while (at < last) {
			const request = { seq: at + 1, next_by_subj: subject, batch: BATCH };
			const batch = (await link.collect(DIRECT_GET, JSON.stringify(request))).map(entryOf);
			const end = batch.at(-1);
			if (!end) break;
			entries.push(...batch);
			at = end.position;
		}
		return entries;
	}

	async function readOnce(address: Address, position: number): Promise<Entry[]> {
		for (let tries = 0; tries < READ_TRIES; tries++) {
			const lasts = (await lastPerAudience(address.tenant, address.request)).filter(
				(entry) => entry.position > position,
			);
			const tail = lasts.at(-1);
			if (!tail) return [];
			if (gapless(lasts, position)) return lasts;
			const parts = await Promise.all(
				lasts.map((last) => literal(entrySubject(last, last.audience), position, last.position)),
			);
			const entries = parts.flat().sort(byPosition);
			if (gapless(entries, position)) return entries;
			// The first entry has expired: the whole log counts as expired.
			if (position === 0 && (entries[0]?.index ?? 0) > 1) return [];
		}
		throw new LinkLost(`the log of ${address.request} shows a gap after position ${position}`);
	}

	const read: Log["read"] = (address, position) => link.persist(patienceMs, () => readOnce(address, position));

	return {
		async append(draft, after) {
			const entry = stamp(draft, after, { id: randomUUID(), writer, at: Date.now() });
			const bytes = encode(entry);
			/** What stands after the expected position: our own entry, somebody else's, or nothing. */
			const settle = async (): Promise<Settled | Conflict | undefined> => {
				const missed = await readOnce(isStart(after) ? after.address : after, entry.after);
				const own = missed.findIndex(({ id }) => id === entry.id);
				const found: Settled | undefined = missed[own];
				const later = missed.slice(own + 1);
				if (found) return later.length > 0 ? { ...found, behind: later } : found;
				return missed.length > 0 ? { conflict: true, missed } : undefined;
			};
			let lost = false;
			return link.persist(patienceMs, async () => {
				// Nothing there after a lost ack: the same append goes out again; the position check and the id make that safe.
				const settled = lost ? await settle() : undefined;
				if (settled) return settled;
				lost = true;
				const published = await publish(entry, bytes);
				if (published !== "conflict") return { ...entry, position: published.position };
				const conflict = await settle();
				if (conflict) return conflict;
				throw new LinkLost(
					`the log of ${entry.request} stands elsewhere than at ${entry.after} and shows nothing after it`,
				);
			});
		},
		read,
		heard: (entry) =>
			link.persist(patienceMs, async () => {
				const chain: Entry[] = [];
				for (let at = entry.heard; at > 0; at = chain[0]?.heard ?? 0) {
					const message = await link.ask(DIRECT_GET, JSON.stringify({ seq: at }));
					if ((message.headers?.code ?? 0) === NOT_FOUND) return undefined;
					chain.unshift(entryOf(message));
				}
				return chain;
			}),
		tail: (tenant, request) => link.persist(patienceMs, async () => (await lastPerAudience(tenant, request)).at(-1)),
		follow(what, on) {
			const subject =
				"request" in what ? pushedRequest(what.tenant, what.request) : pushedSession(what.tenant, what.session);
			const subscription = link.connection.subscribe(subject, {
				callback: (problem, message) => {
					if (!problem) on(pushedEntry(message));
				},
			});
			return { ready: () => link.connection.flush(), [Symbol.dispose]: () => subscription.unsubscribe() };
		},
		onReconnect: link.onReconnect,
	};
}

const byPosition = (a: Entry, b: Entry) => a.position - b.position;

/** Each entry follows the one before it, the first one `position`. */
function gapless(entries: readonly Entry[], position: number): boolean {
	let last = position;
	for (const entry of entries) {
		if (entry.after !== last) return false;
		last = entry.position;
	}
	return entries.length > 0;
}

const entryOf = (message: Msg): Entry =>
	decode(message.headers?.get("Nats-Subject") ?? "", Number(message.headers?.get("Nats-Sequence")), message.data);

const pushedEntry = (message: Msg): Entry =>
	decode(message.subject.slice(PUSH_PREFIX.length + 1), Number(message.headers?.get("Nats-Sequence")), message.data);
