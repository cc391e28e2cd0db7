import type { z } from "zod";

/** `seq` counts from 1 per request without gaps (L2); `data` is JSON and never holds type, request_id, seq, prev or id. */
export type EventOf<Type extends string, Data extends z.ZodType> = { seq: number; type: Type; data: z.infer<Data> };

/** What a client frame may say beyond the event's data. */
export type FrameContext = { session: string };

export type EventKind<Type extends string = string, Data extends z.ZodType = z.ZodType> = {
	type: Type;
	data: Data;
	/** The part of `data` that the client reads; nothing when the event is internal. */
	client: ((data: z.infer<Data>, context: FrameContext) => Record<string, unknown>) | undefined;
};

/** Declares an event once: its type, its data, and what of it a client may read. */
export function event<const Type extends string, Data extends z.ZodType>(
	type: Type,
	data: Data,
	client?: (data: z.infer<Data>, context: FrameContext) => Record<string, unknown>,
): EventKind<Type, Data> {
	return { type, data, client };
}
