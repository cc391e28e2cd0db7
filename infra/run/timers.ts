import type { Address, Draft, Entry } from "../../schemas/entry.ts";
import { isEnd } from "../../schemas/entry.ts";
import { isStart } from "../../subjects/encoding.ts";
import { isConflict, type Log } from "../../subjects/log.ts";
import { dueTimerSubject, parseDueTimer, timerSubject } from "../../subjects/subjects.ts";
import type { Link } from "../bus/link.ts";
import type { Delivery } from "./pull.ts";
import { MAX_DELIVERIES } from "./worker.ts";

/** How long a fired timer stays in its stream. */
const FIRED_TTL = "1h";
const WRONG_LAST_SEQUENCE = [10071, 10164];

/**
 * A log whose timers are set in the broker before the entry that asks for them is appended (L10): a crash between the two
 * leaves a timer without an entry, which does no harm, and never an entry that waits for a timer which nobody set.
 */
export function withTimers(log: Log, link: Link, patienceMs: number): Log {
	return {
		...log,
		async append(draft, after) {
			const address = isStart(after) ? after.address : after;
			for (const event of draft.events) {
				if (event.type === "timer.requested")
					await setTimer(link, patienceMs, address, event.data.timer, event.data.at);
			}
			return log.append(draft, after);
		},
	};
}

/** Sets a timer once per id: the position 0 is expected, so a second try changes nothing. */
async function setTimer(
	link: Link,
	patienceMs: number,
	{ tenant, request, session }: Address,
	timer: string,
	at: number,
): Promise<void> {
	const address = { tenant, request, session, timer };
	await link.persist(patienceMs, async () => {
		const answer = await link.ask(timerSubject(address), "", {
			"Nats-Schedule": `@at ${new Date(at).toISOString()}`,
			"Nats-Schedule-Target": dueTimerSubject(address),
			"Nats-Schedule-TTL": FIRED_TTL,
			"Nats-Expected-Last-Subject-Sequence": "0",
		});
		const ack: { error?: { err_code: number; description: string } } = answer.json();
		if (ack.error && !WRONG_LAST_SEQUENCE.includes(ack.error.err_code)) {
			throw new Error(
				`the broker refused timer ${timer} of ${request}: ${ack.error.err_code} ${ack.error.description}`,
			);
		}
	});
}

/**
 * Writes a due timer into its request's log, once per id and never after the end (L10); resolves with whether the message may
 * be acked. A timer may be due before anything of its request is in the log, so it is then tried again for a while; a log
 * that stays empty has expired, and nobody waits for its timers.
 */
export async function fire(log: Log, delivery: Delivery, now: number): Promise<boolean> {
	const { timer, ...address } = parseDueTimer(delivery.subject);
	let entries: readonly Entry[] = await log.read(address, 0);
	let last = entries.at(-1);
	if (!last) return delivery.deliveries > MAX_DELIVERIES;
	while (last && !isEnd(last) && !fired(entries, timer)) {
		const draft: Draft = {
			audience: "orchestration",
			actor: "runner",
			cause: requestedBy(entries, timer),
			final: false,
			attempt: 0,
			events: [{ type: "timer.fired", data: { timer, at: now } }],
		};
		const result = await log.append(draft, last);
		if (!isConflict(result)) break;
		entries = [...entries, ...result.missed];
		last = entries.at(-1);
	}
	return true;
}

const fired = (entries: readonly Entry[], timer: string): boolean =>
	entries.some(({ events }) => events.some((event) => event.type === "timer.fired" && event.data.timer === timer));

function requestedBy(entries: readonly Entry[], timer: string): number {
	for (const { events } of entries) {
		for (const event of events) if (event.type === "timer.requested" && event.data.timer === timer) return event.seq;
	}
	return 0;
}
