import { z } from "zod";
import { event } from "../event.ts";
import { open, personal } from "../privacy.ts";
import { acceptedFields } from "./request.ts";

const windowTurn = z.strictObject({
	role: open(z.enum(["user", "assistant"])),
	text: personal(z.string()),
	tokens: open(z.int().nonnegative()),
});
export type WindowTurn = z.infer<typeof windowTurn>;

export const sessionLoaded = event(
	"session.loaded",
	z.strictObject({
		/** Repeated from `request.accepted`, so that the decider sees all that it needs. */
		accepted: z.strictObject({
			...acceptedFields,
			/** Milliseconds since the epoch. */
			accepted_at: open(z.int()),
			deadline_at: open(z.int()),
		}),
		/** Recent turns, oldest first, within the feature's token budget. */
		window: z.array(windowTurn),
		/** Turns that did not fit the window. */
		dropped_turns: open(z.int().nonnegative()),
		/** Version of the session document that this was read from. */
		version: open(z.int().nonnegative()),
	}),
);
