import { LOG_STREAM } from "../../../subjects/catalog.ts";
import type { Link } from "../../bus/link.ts";

/** What a process told the broker about a message that it holds. */
export type Signal = { kind: "ack" | "nak" | "working"; consumer: string; position: number; delivery: number };

/** Everything that any process tells the broker about its messages, seen from beside. */
export type Signals = {
	about(consumer: string, position: number): Signal[];
	/** Resolves when a signal like this has been sent, from the beginning or from now on. */
	until(consumer: string, position: number, wanted: (sent: readonly Signal[]) => boolean): Promise<Signal[]>;
	acked(consumer: string, position: number): Promise<Signal[]>;
	/** Has the broker believe that the holder gave the message back: it is delivered again at once, as after the ack wait. */
	redeliver(consumer: string, position: number): Promise<void>;
	/** Resolves when everything that any process sent before is seen here. */
	settle(...links: Link[]): Promise<void>;
};

const kinds: Record<string, Signal["kind"]> = { "+ACK": "ack", "-NAK": "nak", "+WPI": "working" };

/** Listens on the ack subjects (ADR-15): an account sees what its own clients publish there. */
export function openSignals({ connection, ask }: Link): Signals {
	const sent: Signal[] = [];
	const waiting = new Set<() => void>();
	connection.subscribe("$JS.ACK.>", {
		callback: (problem, message) => {
			if (problem) return;
			const tokens = message.subject.split(".");
			const at = tokens.length >= 11 ? 5 : 3;
			const kind = kinds[message.string()];
			if (!kind) return;
			// Our own, from `redeliver`.
			if (tokens.at(at + 4) === OURS) return;
			sent.push({
				kind,
				consumer: tokens[at] ?? "",
				position: Number(tokens[at + 2]),
				delivery: Number(tokens[at + 1]),
			});
			for (const wake of waiting) wake();
		},
	});
	const about = (consumer: string, position: number) =>
		sent.filter((one) => one.consumer === consumer && one.position === position);

	const until: Signals["until"] = (consumer, position, wanted) =>
		new Promise((resolve) => {
			const look = () => {
				const found = about(consumer, position);
				if (!wanted(found)) return;
				waiting.delete(look);
				resolve(found);
			};
			waiting.add(look);
			look();
		});
	return {
		about,
		until,
		acked: (consumer, position) => until(consumer, position, (found) => found.some(({ kind }) => kind === "ack")),
		async redeliver(consumer, position) {
			// The broker looks at the position, and takes any consumer sequence that is not acked yet.
			const info = await ask(`$JS.API.CONSUMER.INFO.${LOG_STREAM}.${consumer}`, "");
			const { delivered }: { delivered: { consumer_seq: number } } = info.json();
			connection.publish(`$JS.ACK.${LOG_STREAM}.${consumer}.1.${position}.${delivered.consumer_seq}.${OURS}.0`, "-NAK");
		},
		async settle(...links) {
			for (const link of links) await link.connection.flush();
			await connection.flush();
		},
	};
}

/** Time of delivery in the naks that `redeliver` sends; no real delivery has it. */
const OURS = "1";
