import { isEnd, lastSeq } from "../../schemas/entry.ts";
import { CodedError } from "../../schemas/errors.ts";
import { finalObject } from "../../schemas/final.ts";
import { upFrames } from "../../schemas/frames.ts";
import { readSubmit } from "../admit.ts";
import { cancelRequest, giveFeedback } from "../commands.ts";
import { findFollowed, resumption } from "../followed.ts";
import { findRequest, unknownRequest } from "../lookup.ts";
import type { Feedback } from "../ports.ts";
import type { HttpRequest } from "../transport.ts";
import { type Call, readAs, readCount, readJson } from "./call.ts";
import { replyJson } from "./problem.ts";
import { answerSubmit, type SubmitPorts, streamResult } from "./submits.ts";

export type RequestPorts = SubmitPorts & { feedback: Feedback };

const MAX_BODY_BYTES = 256 * 1024;
const MAX_SEQ = 999_999_999;
const feedbackBody = upFrames.feedback.omit({ type: true, id: true, request_id: true });

export async function postRequest(ports: RequestPorts, call: Call): Promise<void> {
	await answerSubmit(ports, call, { body: readSubmit(await readJson(call.exchange, MAX_BODY_BYTES)) });
}

export async function getRequest(ports: RequestPorts, { exchange, identity, id }: Call): Promise<void> {
	const found = await findRequest(ports, identity, id);
	if (found.found === "nothing") throw unknownRequest();
	replyJson(exchange, 200, found.found === "result" ? found.final : finalObject(found.entries));
}

/** The events after a cursor, as a stream. */
export async function getEvents(ports: RequestPorts, { exchange, identity, id }: Call): Promise<void> {
	const after = cursorOf(exchange.request, id);
	const resumed = resumption(await findFollowed(ports, identity, id), after);
	ports.meter.count("throughline_gateway_resumes_total", { outcome: resumed.resumed, door: "http" });
	switch (resumed.resumed) {
		case "gone":
			if (resumed.reason === "unknown") throw unknownRequest();
			throw new CodedError(
				"diverged",
				`a cursor within the log is expected, and ${after} lies beyond its end: it belongs to a log that is lost. Begin again from 0.`,
			);
		case "result":
			if (after > 0 && after === resumed.final.final_seq) exchange.reply(204, {}, "");
			else streamResult(ports.sse, exchange, resumed.final);
			return;
		default: {
			const { entries, follower } = resumed;
			const last = entries.at(-1);
			if (last && isEnd(last) && after === lastSeq(last)) {
				follower.close();
				// Tells an `EventSource` not to come back.
				exchange.reply(204, {}, "");
				return;
			}
			follower.start(entries, after, ports.sse.open(exchange, {}).sink(follower));
		}
	}
}

export async function postCancel(ports: RequestPorts, { exchange, identity, id }: Call): Promise<void> {
	const outcome = await cancelRequest(ports, identity, id);
	const reason = outcome === "already ended" ? { reason: outcome } : {};
	replyJson(exchange, 200, { request_id: id, status: "done", ...reason });
}

export async function postFeedback(ports: RequestPorts, { exchange, identity, id }: Call): Promise<void> {
	const feedback = readAs(feedbackBody, await readJson(exchange, MAX_BODY_BYTES));
	await giveFeedback(ports, identity, id, feedback);
	replyJson(exchange, 200, { request_id: id, status: "done" });
}

/** `Last-Event-ID: <request>:<seq>` outranks `?after=`: a browser that comes back sends its first URL again. */
function cursorOf({ headers, query }: HttpRequest, id: string): number {
	const header = headers["last-event-id"];
	if (header === undefined || header === "") return readCount(query.get("after"), "after", 0, MAX_SEQ);
	const [request, seq, ...rest] = header.split(":");
	if (request === id && seq !== undefined && rest.length === 0) return readCount(seq, "Last-Event-ID", 0, MAX_SEQ);
	throw new CodedError(
		"invalid_body",
		`Last-Event-ID is expected to be "<request_id>:<seq>" of this request, got ${JSON.stringify(header.slice(0, 80))}`,
	);
}
