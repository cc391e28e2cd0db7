import { createHash } from "node:crypto";
import { type Address, type Draft, type Entry, lastSeq } from "../../schemas/entry.ts";
import { type Conflict, isConflict, type Log } from "../../subjects/log.ts";

type Events = Draft["events"];

/** Plays the actors' part by hand: appends to the log of a request, after whatever stands there. */
export type Story = {
	/** Session and orchestration: internal events, then `message.started`. */
	begin(): Promise<void>;
	delta(text: string): Promise<void>;
	/** The whole of the rest: hash, usage, end. */
	end(status?: "completed" | "cancelled"): Promise<void>;
};

export async function storyOf(log: Log, address: Address): Promise<Story> {
	let tail = await log.tail(address.tenant, address.request);
	let text = "";

	async function append(
		actor: Draft["actor"],
		audience: Draft["audience"],
		eventsAfter: (seq: number) => Events,
	): Promise<void> {
		for (;;) {
			if (!tail) throw new Error(`the log of ${address.request} is expected to have begun`);
			const events = eventsAfter(lastSeq(tail));
			const draft: Draft = { actor, audience, cause: 1, final: false, attempt: 0, events };
			const result: Entry | Conflict = await log.append(draft, tail);
			if (!isConflict(result)) {
				tail = result;
				return;
			}
			tail = result.missed.at(-1) ?? tail;
		}
	}

	return {
		async begin() {
			await append("session", "orchestration", () => [{ type: "timer.requested", data: { timer: "deadline", at: 1 } }]);
			await append("orchestration", "inference", () => [
				{ type: "message.started", data: { message_id: "m_1", model_hint: "small", resumable: true } },
				{ type: "timer.fired", data: { timer: "other", at: 1 } },
				{ type: "state.entered", data: { from: "accepted", to: "inferring" } },
			]);
		},
		async delta(more) {
			text += more;
			await append("inference", "stream", () => [{ type: "output_text.delta", data: { text: more } }]);
		},
		async end(status = "completed") {
			const text_sha256 = createHash("sha256").update(text).digest("hex");
			const none = { cached_tokens: 0, reasoning_tokens: 0, cost_micros: 0, currency: "USD" } as const;
			const finish_reason = status === "completed" ? "stop" : "cancelled";
			await append("orchestration", "session", (seq) => [
				// Its beginning will do: nobody here reads it, and an entry has its limit.
				{ type: "output_text.done", data: { text: text.slice(0, 100), text_sha256 } },
				{ type: "timer.fired", data: { timer: "deadline", at: 2 } },
				{
					type: "usage.completed",
					data: { input_tokens: 3, output_tokens: 4, ...none, attempts: [], partial: false, estimated: false },
				},
				{ type: "message.completed", data: { status, finish_reason, text_sha256, final_seq: seq + 4 } },
			]);
		},
	};
}
