import type { Answer, Ask, Worker } from "../../../actors/actor.ts";
import type { ActorName, Entry } from "../../../schemas/entry.ts";
import type { EventDraft } from "../../../schemas/events/all.ts";

/** One run of `perform`, in the hands of the test. */
export type Call = {
	/** Name of the process that runs it. */
	by: string;
	ask: Ask<"tool.requested">;
	prior: readonly Entry[];
	signal: AbortSignal;
	/** Yields events; resolves when the generator goes on, with what it was given. */
	tell(events: readonly EventDraft[]): Promise<Entry | undefined>;
	/** Begins as the attempt that is due. */
	start(attempt: number): Promise<Entry | undefined>;
	finish(events?: readonly EventDraft[]): void;
	fail(problem: Error): void;
	/** Resolves when the generator has ended, of itself or because it is not wanted any more. */
	over: Promise<void>;
};

type Command =
	| { do: "tell"; events: readonly EventDraft[]; went: (written: Entry | undefined) => void }
	| { do: "finish"; events: Answer }
	| { do: "fail"; problem: Error };

export type Puppet = {
	worker: Worker<"tool.requested", string>;
	/** The next run of `perform` that the test has not yet taken. */
	next(): Promise<Call>;
	/** Runs so far. */
	runs: () => number;
};

/** A list that is waited for at its end. */
function waitingList<T>(): { put(item: T): void; take(): Promise<T> } {
	const items: T[] = [];
	const takers: ((item: T) => void)[] = [];
	return {
		put(item) {
			const taker = takers.shift();
			if (taker) taker(item);
			else items.push(item);
		},
		take: () => {
			const [first] = items.splice(0, 1);
			return first === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(first);
		},
	};
}

/** A worker that does nothing but what the test tells each of its runs to do. */
export function puppet(name: ActorName): Puppet {
	const calls = waitingList<Call>();
	let runs = 0;
	return {
		next: calls.take,
		runs: () => runs,
		worker: {
			shape: "worker",
			name,
			asks: ["tool.requested"],
			async *perform(ask, prior, by, signal) {
				const commands = waitingList<Command>();
				const over = Promise.withResolvers<void>();
				const abandoned = Promise.withResolvers<undefined>();
				signal.addEventListener("abort", () => abandoned.resolve(undefined));
				const tell = (events: readonly EventDraft[]) =>
					new Promise<Entry | undefined>((went) => commands.put({ do: "tell", events, went }));
				runs += 1;
				calls.put({
					by,
					ask,
					prior,
					signal,
					tell,
					start: (attempt) => tell([started(ask, attempt)]),
					finish: (events = [completed(ask)]) => commands.put({ do: "finish", events }),
					fail: (problem) => commands.put({ do: "fail", problem }),
					over: over.promise,
				});
				try {
					for (;;) {
						// Like a real worker: one that is cancelled answers at once, and one that is not wanted ends.
						const command = await Promise.race([commands.take(), abandoned.promise]);
						if (!command) return [failed(ask, "cancelled")];
						if (command.do === "finish") return command.events;
						if (command.do === "fail") throw command.problem;
						command.went(yield command.events);
					}
				} finally {
					over.resolve();
				}
			},
			abandon: (ask, _prior, reason) => [failed(ask, reason)],
		},
	};
}

const named = ({ data: { tool_call_id, name } }: Ask<"tool.requested">) => ({ tool_call_id, name });

const started = (ask: Ask<"tool.requested">, attempt: number): EventDraft => ({
	type: "tool.started",
	data: { ...named(ask), attempt },
});
const completed = (ask: Ask<"tool.requested">): EventDraft => ({
	type: "tool.completed",
	data: { ...named(ask), result: "done", truncated: false, took_ms: 1 },
});
const failed = (ask: Ask<"tool.requested">, message: string): EventDraft => ({
	type: "tool.failed",
	data: { ...named(ask), code: "failed", message, outcome: "unknown", took_ms: 1 },
});

export const toolRequested = (id: string): EventDraft => ({
	type: "tool.requested",
	data: {
		tool_call_id: id,
		name: "puppet",
		arguments: "{}",
		principal: "ada",
		roles: [],
		feature: "chat",
		required: false,
		side_effect_key: id,
		deadline_at: 0,
	},
});
export const delta = (text: string): EventDraft => ({ type: "output_text.delta", data: { text } });
export const cancelRequested: EventDraft = { type: "cancel.requested", data: { by: "ada" } };
export const ended: EventDraft = {
	type: "message.completed",
	data: { status: "cancelled", finish_reason: "cancelled", text_sha256: null, final_seq: 1 },
};
