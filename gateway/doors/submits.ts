import { type Entry, isEnd } from "../../schemas/entry.ts";
import { CodedError } from "../../schemas/errors.ts";
import { finalObject } from "../../schemas/final.ts";
import type { FinalObject } from "../../schemas/frames.ts";
import { admit, type Submission } from "../admit.ts";
import { type Followed, type FollowPorts, type SubmitHooks, submitFollowed } from "../followed.ts";
import type { Meter } from "../ports.ts";
import type { Exchange } from "../transport.ts";
import { type Call, lists } from "./call.ts";
import { replyJson, replyProblem } from "./problem.ts";
import type { SseStreams } from "./sse.ts";

export type SubmitPorts = FollowPorts & {
	meter: Meter;
	sse: SseStreams;
	/** Calls that wait for an end; each is told when the server drains (P30). */
	waiting: Set<() => void>;
};

/** What a submit over HTTP is, beside its caller and its headers. */
export type HttpSubmit = Pick<Submission, "body" | "documents"> & Pick<SubmitHooks, "beforeClaim">;

/** Submits and answers as the call's headers ask: with a stream, with the end, or at once. */
export async function answerSubmit(
	ports: SubmitPorts,
	{ exchange, identity }: Call,
	{ beforeClaim, ...what }: HttpSubmit,
): Promise<void> {
	const { headers } = exchange.request;
	const submission: Submission = {
		...what,
		identity,
		idempotencyKey: headers["idempotency-key"],
		door: "http",
		traceparent: headers.traceparent,
	};
	const hooks = beforeClaim ? { beforeClaim } : {};
	const streams = lists(headers.accept, "text/event-stream");
	if (lists(headers.prefer, "respond-async") && !streams) {
		const admitted = await admit(ports, submission, hooks);
		count(ports, admitted.outcome);
		if (admitted.outcome === "stored")
			return replyJson(exchange, 200, admitted.final, replayed(admitted.final.request_id, true));
		const { address, entries, outcome } = admitted;
		const last = entries.at(-1);
		const also = replayed(address.request, outcome === "attached");
		if (last && isEnd(last)) return replyJson(exchange, 200, finalObject(entries), also);
		return replyRunning(exchange, address, also);
	}
	const submitted = await submitFollowed(ports, submission, hooks);
	count(ports, submitted.outcome);
	if (submitted.outcome === "stored") {
		const { final } = submitted;
		const also = replayed(final.request_id, true);
		if (streams) streamResult(ports.sse, exchange, final, also);
		else replyJson(exchange, 200, final, also);
		return;
	}
	const also = replayed(submitted.address.request, submitted.outcome === "attached");
	if (!streams) return waitForEnd(ports.waiting, exchange, submitted, also);
	const { follower, entries } = submitted;
	follower.start(entries, 0, ports.sse.open(exchange, also).sink(follower));
}

const count = ({ meter }: SubmitPorts, outcome: string) =>
	meter.count("throughline_gateway_submits_total", { outcome, door: "http" });

/** Which request it is, and whether it had been there before (P31). */
const replayed = (request: string, before: boolean): Record<string, string> => ({
	"content-location": `/v1/requests/${request}`,
	...(before && { "idempotency-replayed": "true" }),
});

function replyRunning(
	exchange: Exchange,
	{ request, session }: { request: string; session: string },
	headers: Record<string, string>,
): void {
	const running = { request_id: request, session_id: session, status: "running" };
	replyJson(exchange, 202, running, { ...headers, location: `/v1/requests/${request}` });
}

/** The one frame of a request whose events have expired. */
export function streamResult(
	sse: SseStreams,
	exchange: Exchange,
	final: FinalObject,
	headers: Record<string, string> = {},
): void {
	const id = `${final.request_id}:${final.final_seq ?? 0}`;
	sse.open(exchange, headers).last({ type: "final", request_id: final.request_id, final }, id);
}

/** Resolves when the call is answered or its client has left; the request itself goes on (P8). */
function waitForEnd(
	waiting: Set<() => void>,
	exchange: Exchange,
	{ address, entries, follower }: Followed,
	headers: Record<string, string>,
): Promise<void> {
	return new Promise((resolve) => {
		const visible: Entry[] = [];
		const finish = (answer: () => void) => {
			waiting.delete(leave);
			follower.close();
			answer();
			resolve();
		};
		const leave = () => finish(() => replyRunning(exchange, address, headers));
		waiting.add(leave);
		exchange.onGone(() => finish(() => {}));
		follower.start(entries, 0, {
			clear: () => true,
			push: (entry) => visible.push(entry),
			ended: () => finish(() => replyJson(exchange, 200, finalObject(visible), headers)),
			gone: (reason) =>
				finish(() =>
					replyProblem(
						exchange,
						new CodedError("log_unavailable", `the log of this request is lost (${reason}); submit it again`, 1),
					),
				),
		});
	});
}
