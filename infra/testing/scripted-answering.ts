import type { ServerResponse } from "node:http";
import type { Answer, ChatBody, Usage } from "./scripted-chunks.ts";
import * as chunks from "./scripted-chunks.ts";
import type { Behaviour, Fault } from "./scripted-plan.ts";

/**
 * One call as the provider bills it: the row is there when the call starts and is completed when it ends.
 * `open` is still running; a silent or stalled call stays open until the client gives up (`client_gone`).
 * Billed are prompt_tokens + output_tokens_sent + reasoning_tokens; cached_tokens are a part of prompt_tokens.
 * A call refused by its status costs nothing, so all its counts are 0.
 */
export type Bill = {
	id: number;
	model: string;
	/** Milliseconds since 1970. */
	at: number;
	ended_at: number | undefined;
	prompt_tokens: number;
	cached_tokens: number;
	output_tokens_sent: number;
	reasoning_tokens: number;
	ended: "open" | "complete" | "client_gone" | "fault";
	/** Headers `x-throughline-request` and `x-throughline-attempt`, when the client sent them. */
	request: string | undefined;
	attempt: string | undefined;
};

export type Call = { body: ChatBody; behaviour: Behaviour; answer: Answer; bill: Bill; response: ServerResponse };

const eventStream = { "content-type": "text/event-stream", "cache-control": "no-cache" };
export const json = { "content-type": "application/json" };

function usageOf({ behaviour, bill }: Call): Usage {
	const completion_tokens = bill.output_tokens_sent + behaviour.reasoning_tokens;
	return {
		prompt_tokens: bill.prompt_tokens,
		completion_tokens,
		total_tokens: bill.prompt_tokens + completion_tokens,
		prompt_tokens_details: { cached_tokens: bill.cached_tokens },
		completion_tokens_details: { reasoning_tokens: behaviour.reasoning_tokens },
	};
}

export function errorBody(message: string, code: string | undefined): string {
	return JSON.stringify({ error: { message, type: "scripted", code: code ?? null } });
}

export function refuse({ bill, response }: Call, fault: Extract<Fault, { kind: "status" }>): void {
	bill.prompt_tokens = 0;
	bill.cached_tokens = 0;
	bill.ended = "fault";
	const waits = {
		...(fault.retry_after === undefined ? {} : { "retry-after": fault.retry_after }),
		...(fault.retry_after_ms === undefined ? {} : { "retry-after-ms": String(fault.retry_after_ms) }),
	};
	response.writeHead(fault.status, { ...json, ...waits });
	response.end(errorBody(`The plan says ${fault.status}`, fault.code));
}

/** The frames after the content: finish reason, usage, `[DONE]`. */
function closing(call: Call): Buffer {
	const { body, behaviour, answer } = call;
	const usage = behaviour.usage === "none" ? undefined : usageOf(call);
	const frames = [chunks.finishFrame(answer, behaviour.usage === "inline" ? usage : undefined)];
	if (behaviour.usage === "last" && body.stream_options?.include_usage === true) {
		frames.push(chunks.chunkFrame(answer.model, [], usage));
	}
	if (behaviour.done) frames.push(chunks.doneFrame);
	return Buffer.concat(frames);
}

/** Does what the fault says at its place in a stream. Returns whether the stream is over. */
function strike(call: Call, fault: Fault): boolean {
	const { answer, bill, response } = call;
	switch (fault.kind) {
		case "cut":
			bill.ended = "fault";
			// Written bytes leave before the socket is destroyed.
			response.write("", () => response.destroy());
			return true;
		case "short":
			bill.ended = "fault";
			response.end();
			return true;
		case "stall": {
			if (fault.keep_alive_ms === undefined) return true;
			const empty = chunks.chunkFrame(answer.model, [{ index: 0, delta: { content: "" }, finish_reason: null }]);
			const timer = setInterval(() => response.write(Buffer.concat([chunks.commentFrame, empty])), fault.keep_alive_ms);
			response.once("close", () => clearInterval(timer));
			return true;
		}
		case "malformed":
			response.write(chunks.malformedFrame);
			return false;
		case "error_chunk":
			bill.ended = "fault";
			response.end(`data: ${errorBody("The plan says error", fault.code)}\n\n`);
			return true;
		case "empty":
			bill.ended = "fault";
			response.end(chunks.doneFrame);
			return true;
		default:
			return false;
	}
}

/** Answers as server-sent events, at the plan's pace. */
export function stream(call: Call): void {
	const { behaviour, answer, bill, response } = call;
	const { fault } = behaviour;
	response.writeHead(200, eventStream);
	if (fault?.kind === "headers_only") {
		response.flushHeaders();
		return;
	}
	bill.reasoning_tokens = behaviour.reasoning_tokens;
	if (fault === undefined && behaviour.first_ms === 0 && behaviour.every_ms === 0) {
		bill.output_tokens_sent = answer.output_tokens;
		response.end(Buffer.concat([answer.whole, closing(call)]));
		return;
	}
	response.write(answer.opening);
	const breaksAt = fault !== undefined && "at" in fault ? Math.min(fault.at, answer.frames.length) : 0;
	const startsAt = performance.now() + behaviour.first_ms;
	let next = 0;
	let struck = fault === undefined;
	const go = () => {
		const due = behaviour.every_ms === 0 ? Infinity : (performance.now() - startsAt) / behaviour.every_ms + 1;
		const parts: Buffer[] = [];
		while (next <= answer.frames.length) {
			if (!struck && fault !== undefined && next === breaksAt) {
				if (parts.length > 0) response.write(Buffer.concat(parts.splice(0)));
				struck = true;
				if (strike(call, fault)) return;
			}
			const frame = answer.frames[next];
			if (frame === undefined) {
				parts.push(closing(call));
				response.end(Buffer.concat(parts));
				return;
			}
			if (next >= due) break;
			parts.push(frame.bytes);
			bill.output_tokens_sent += frame.tokens;
			next += 1;
		}
		if (parts.length > 0) response.write(parts.length === 1 ? parts[0] : Buffer.concat(parts));
		later(startsAt + next * behaviour.every_ms);
	};
	let timer: NodeJS.Timeout | undefined;
	response.once("close", () => clearTimeout(timer));
	const later = (at: number) => {
		timer = setTimeout(go, Math.max(0, Math.round(at - performance.now())));
	};
	if (behaviour.first_ms === 0) go();
	else later(startsAt);
}

/** Answers as one JSON object. */
export function atOnce(call: Call): void {
	const { behaviour, answer, bill, response } = call;
	const { fault } = behaviour;
	bill.output_tokens_sent = answer.output_tokens;
	bill.reasoning_tokens = behaviour.reasoning_tokens;
	if (fault === undefined) {
		const body = Buffer.from(chunks.wholeCompletion(answer, behaviour.usage === "none" ? undefined : usageOf(call)));
		response.writeHead(200, { ...json, "content-length": body.length });
		response.end(body);
		return;
	}
	response.writeHead(200, json);
	if (fault.kind === "headers_only") response.flushHeaders();
	else if (fault.kind === "error_chunk") response.end(errorBody("The plan says error", fault.code));
	else if (fault.kind === "empty")
		response.end(chunks.wholeCompletion({ ...answer, text: "", tool_calls: [] }, undefined));
	else {
		response.write('{"id":"chatcmpl-scripted","choices":[{"index":0,"mess');
		if (fault.kind === "cut") response.write("", () => response.destroy());
		else if (fault.kind !== "stall") response.end();
	}
	if (fault.kind !== "stall" && fault.kind !== "headers_only") bill.ended = "fault";
}
