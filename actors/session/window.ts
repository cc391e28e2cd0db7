import type { WindowTurn } from "../../schemas/events/session.ts";
import type { Turn } from "./ports.ts";

/** The newest turns that fit the budget, oldest first: a turn goes in whole or not at all. `dropped` counts the others. */
export function windowOf(newestFirst: readonly Turn[], budget: number): { window: WindowTurn[]; dropped: number } {
	const window: WindowTurn[] = [];
	let left = budget;
	let kept = 0;
	for (const { user, assistant } of newestFirst) {
		const size = user.tokens + assistant.tokens;
		if (size > left) break;
		left -= size;
		kept += 1;
		window.unshift({ role: "user", ...user }, { role: "assistant", ...assistant });
	}
	return { window, dropped: newestFirst.length - kept };
}
