import type { CallLimits } from "../../actors/inference/provider.ts";

/** Where a call stands; each phase has its own limit (I3). */
export type Phase = "connect" | "headers" | "first_content" | "between_contents";

export type PhaseTimer = {
	enter(phase: Phase): void;
	/** Something came that counts as content: from now on the limit between contents holds, and it starts anew. */
	progress(): void;
	/** The clock stands still while the reader is busy with what it has: its slowness is not the provider's. */
	pause(): void;
	stop(): void;
};

/** One timer for the phases of a call; `expired` is called at most once, with the phase that took too long. */
export function phaseTimer(limits: CallLimits, expired: (phase: Phase, limit: number) => void): PhaseTimer {
	let phase: Phase = "connect";
	let paused = false;
	let timer: NodeJS.Timeout | undefined;
	const enter = (next: Phase) => {
		clearTimeout(timer);
		phase = next;
		paused = false;
		const limit = limits[`${phase}_ms`];
		timer = setTimeout(() => {
			if (!paused) expired(phase, limit);
		}, limit);
	};
	return {
		enter,
		progress: () => {
			if (phase !== "between_contents") return enter("between_contents");
			paused = false;
			timer?.refresh();
		},
		pause: () => {
			paused = true;
		},
		stop: () => clearTimeout(timer),
	};
}
