import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ingestCompleted, ingestProgress } from "../../schemas/events/retrieval.ts";
import { eventReader } from "../models/event-stream.ts";
import type { Loaded } from "./ingest-files.ts";
import { call, reasonOf, refusalOf, type Server } from "./server.ts";

export type Taken = { outcome: "indexed" | "unchanged"; passages: number } | { outcome: "failed"; reason: string };

const TRIES = 5;
const FIRST_PAUSE_MS = 500;
/** Statuses that say "later": too many requests, a part that is away. */
const LATER = [429, 503];

const completedFrame = z.object({
	type: z.literal("ingest.completed"),
	documents: ingestCompleted.data.shape.documents,
});
const progressFrame = z.object({
	type: z.literal("ingest.progress"),
	...ingestProgress.data.pick({ done: true, total: true }).shape,
});
const errorFrame = z.object({ type: z.literal("request.error"), message: z.string() });
const endFrame = z.object({ type: z.literal("message.completed"), status: z.string() });
const frame = z.discriminatedUnion("type", [completedFrame, progressFrame, errorFrame, endFrame]);

/**
 * Sends one document and follows its ingestion to the end; `onProgress` hears the part that is done, 0 to 1. One key over
 * all tries, so a try whose answer was lost is attached to and never taken in twice; a new one per upload, so that a
 * content that comes back after another one is taken in again.
 */
export async function upload(server: Server, { body }: Loaded, onProgress: (part: number) => void): Promise<Taken> {
	const key = randomUUID();
	let problem = "";
	for (let attempt = 0; attempt < TRIES; attempt++) {
		if (attempt > 0) await sleep(FIRST_PAUSE_MS * 2 ** attempt);
		try {
			const response = await send(server, body, key);
			if (LATER.includes(response.status)) {
				problem = await refusalOf(response);
				await sleep(Number(response.headers.get("retry-after") ?? 0) * 1_000);
				continue;
			}
			if (!response.ok) return { outcome: "failed", reason: await refusalOf(response) };
			const taken = await follow(response, onProgress);
			if (taken) return taken;
			problem = "the connection was cut before the end";
		} catch (thrown) {
			problem = reasonOf(thrown);
		}
	}
	return { outcome: "failed", reason: problem };
}

const send = (server: Server, body: string, key: string): Promise<Response> =>
	call(server, "POST", "/v1/documents", {
		body,
		headers: { "content-type": "application/json", accept: "text/event-stream", "idempotency-key": key },
	});

/** Reads the events up to the last one; nothing when they break off before it. */
async function follow(response: Response, onProgress: (part: number) => void): Promise<Taken | undefined> {
	if (!response.body) return undefined;
	const reader = eventReader();
	let taken: Taken | undefined;
	let error = "the server gave no reason";
	for await (const bytes of response.body) {
		for (const data of reader.read(bytes)) {
			const { success, data: event } = frame.safeParse(JSON.parse(data));
			// Events of other types are not about what came of it.
			if (!success) continue;
			if (event.type === "ingest.progress") onProgress(event.total === 0 ? 1 : event.done / event.total);
			else if (event.type === "request.error") error = event.message;
			else if (event.type === "ingest.completed") {
				const [document] = event.documents;
				if (document?.outcome === "failed") taken = { outcome: "failed", reason: document.problem ?? error };
				else if (document) taken = { outcome: document.outcome, passages: document.chunks };
			} else return taken ?? { outcome: "failed", reason: `${event.status}: ${error}` };
		}
	}
	return undefined;
}
