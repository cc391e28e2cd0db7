import { expect, test } from "vitest";
import { actorNames, audiences } from "../schemas/entry.ts";
import { ACK_WAIT_MS, consumers, LOG_STREAM, streams, TIMER_STREAM, WORKING_MS } from "./catalog.ts";
import { dueTimerSubject, entrySubject, keyedRequestId, newSessionId, timerSubject } from "./subjects.ts";

/** A subject matches a filter as NATS has it: `*` is one token, `>` all that follow. */
function matches(filter: string, subject: string): boolean {
	const pattern = filter.split(".").map((part) => (part === "*" ? "[^.]+" : part === ">" ? ".+" : part));
	return new RegExp(`^${pattern.join("\\.")}$`).test(subject);
}

/** One address per slot, tenants with the names of audiences among them. */
const addresses = Array.from({ length: 400 }, (_, at) => {
	const tenant = ["acme", "stream", "session", "log"][at % 4] ?? "acme";
	const request = keyedRequestId(tenant, "alice", String(at));
	return { tenant, request, session: newSessionId(request) };
});

const consumerOf = (name: string) => {
	const found = consumers.filter((consumer) => consumer.name === name);
	if (found.length !== 1) throw new Error(`one consumer ${name} is expected, got ${found.length}`);
	return found[0];
};

test("the addresses of these tests lie in every slot", () => {
	expect(new Set(addresses.map(({ request }) => request[2])).size).toBe(32);
});

test("[L7] there is one consumer per actor and one for timers that are due", () => {
	expect(consumers.map(({ name }) => name).sort()).toEqual([...actorNames, "timers"].sort());
});

test.each(actorNames.filter((name) => name !== "telemetry").map((name) => [name]))(
	"[L1] the consumer of %s gets the entries addressed to it and no others",
	(name) => {
		const filter = consumerOf(name)?.filter ?? "";
		for (const address of addresses) {
			const covered = audiences.filter((audience) => matches(filter, entrySubject(address, audience)));
			expect(covered).toEqual([name]);
		}
	},
);

test("telemetry hears what the session hears, which every end is addressed to; nobody is asked by an entry for the stream", () => {
	for (const address of addresses) {
		expect(matches(consumerOf("telemetry")?.filter ?? "", entrySubject(address, "session"))).toBe(true);
		expect(consumers.filter(({ filter }) => matches(filter, entrySubject(address, "stream")))).toEqual([]);
	}
});

test("[L10] the consumer of timers gets those that are due and not those that are set", () => {
	const filter = consumerOf("timers")?.filter ?? "";
	for (const address of addresses) {
		expect(matches(filter, dueTimerSubject({ ...address, timer: "deadline" }))).toBe(true);
		expect(matches(filter, timerSubject({ ...address, timer: "deadline" }))).toBe(false);
	}
});

test("[L7] ack wait is 2 s everywhere, held by a sign of work every 0.5 s", () => {
	expect(ACK_WAIT_MS).toBe(2_000);
	expect(WORKING_MS).toBe(500);
	for (const consumer of consumers) expect(consumer).toMatchObject({ ack_wait_ms: ACK_WAIT_MS });
});

test("[L7] pending acks exceed all slots of all processes", () => {
	// 32 processes with the default of 256 slots.
	for (const { max_ack_pending } of consumers) expect(max_ack_pending).toBeGreaterThan(32 * 256);
});

test("every consumer's filter lies in its stream", () => {
	const declared = streams(24);
	for (const { stream, filter } of consumers) {
		const subjects = declared.find(({ name }) => name === stream)?.subjects ?? [];
		expect(subjects.some((subject) => filter === subject || matches(subject, filter))).toBe(true);
	}
});

test("[L14] logs go by age only, in whole nanoseconds, and refuse rather than lose", () => {
	const [log] = streams(0.5);
	expect(log).toMatchObject({ name: LOG_STREAM, max_age: 1_800_000_000_000, discard: "new", allow_direct: true });
	expect(log?.republish).toEqual({ src: "log.>", dest: "push.log.>" });
	expect(Number.isInteger(streams(1 / 7)[0]?.max_age)).toBe(true);
});

test("[L10] timers have no limit and no age, and the broker is their clock", () => {
	expect(streams(24).find(({ name }) => name === TIMER_STREAM)).toMatchObject({
		subjects: ["timers.>"],
		max_age: 0,
		allow_msg_schedules: true,
		allow_msg_ttl: true,
	});
});
