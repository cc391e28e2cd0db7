import { type ActorName, actorNames } from "../schemas/entry.ts";
import { audienceSubjects, DUE_TIMERS, LOG, PUSH_PREFIX, TIMERS } from "./subjects.ts";

/** A stream as it must be; the boot probe compares these fields with what the server made of them (L16). */
export type StreamDeclaration = {
	name: string;
	subjects: string[];
	/** Nanoseconds; 0 keeps for ever. */
	max_age: number;
	allow_direct: boolean;
	/** Refuse new messages when full instead of losing old ones. */
	discard: "new" | "old";
	allow_msg_schedules?: boolean;
	allow_msg_ttl?: boolean;
	republish?: { src: string; dest: string };
};

/** A durable pull consumer: explicit ack, no delivery limit, no back-off (L7). */
export type ConsumerDeclaration = {
	stream: string;
	name: string;
	filter: string;
	ack_wait_ms: number;
	max_ack_pending: number;
};

export const LOG_STREAM = "LOG";
export const TIMER_STREAM = "TIMERS";

/** A message that is not acked or held by `working()` for this long goes to another process (L7). */
export const ACK_WAIT_MS = 2_000;
/** How often a process says that it still works on a message. */
export const WORKING_MS = 500;

const NANOSECONDS_PER_HOUR = 3_600_000_000_000;

export const streams = (logMaxAgeHours: number): StreamDeclaration[] => [
	{
		name: LOG_STREAM,
		subjects: [LOG],
		max_age: Math.round(logMaxAgeHours * NANOSECONDS_PER_HOUR),
		allow_direct: true,
		discard: "new",
		republish: { src: LOG, dest: `${PUSH_PREFIX}.${LOG}` },
	},
	// No limit and no age: an old deadline that is evicted silently never comes. Fired ones carry a time to live of their own (L10).
	{
		name: TIMER_STREAM,
		subjects: [TIMERS],
		max_age: 0,
		allow_direct: true,
		discard: "old",
		allow_msg_schedules: true,
		allow_msg_ttl: true,
	},
];

/** Exceeds the slots of all processes together (L7). */
const MAX_ACK_PENDING = 20_000;

/** Telemetry hears the ends: it reads a request's log once, when that is whole, instead of every delta by itself. */
const filterOf = (actor: ActorName): string => audienceSubjects(actor === "telemetry" ? "session" : actor);

export const consumers: readonly ConsumerDeclaration[] = [
	...actorNames.map((name) => ({
		stream: LOG_STREAM,
		name,
		filter: filterOf(name),
		ack_wait_ms: ACK_WAIT_MS,
		max_ack_pending: MAX_ACK_PENDING,
	})),
	{
		stream: TIMER_STREAM,
		name: "timers",
		filter: DUE_TIMERS,
		ack_wait_ms: ACK_WAIT_MS,
		max_ack_pending: MAX_ACK_PENDING,
	},
];
