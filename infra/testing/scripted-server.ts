import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { atOnce, type Bill, type Call, errorBody, json, refuse, stream } from "./scripted-answering.ts";
import * as chunks from "./scripted-chunks.ts";
import { plan, planned } from "./scripted-plan.ts";

async function bodyOf(request: IncomingMessage): Promise<string> {
	const parts: Buffer[] = [];
	request.on("data", (part: Buffer) => parts.push(part));
	await once(request, "end");
	return Buffer.concat(parts).toString();
}

/**
 * An OpenAI-compatible server that does what a plan tells it and keeps a bill of every call.
 * POST /script replaces the plan, POST /reset also empties the bill, GET /bill reads it
 * (`?calls=3` answers when that many calls have begun, `?settled=1` when none is open).
 */
export async function serveScripted(port: number): Promise<{ url: string; close(): Promise<void> }> {
	const bills: Bill[] = [];
	const waiting = new Set<() => boolean>();
	const answer = chunks.answers();
	let open = 0;
	let next = planned(plan.parse({}));
	const changed = () => {
		for (const check of waiting) if (check()) waiting.delete(check);
	};

	const complete = async (request: IncomingMessage, response: ServerResponse) => {
		const body: chunks.ChatBody = JSON.parse(await bodyOf(request));
		const behaviour = next(body.model, chunks.questionOf(body));
		const bill: Bill = {
			id: bills.length + 1,
			model: body.model,
			at: Date.now(),
			ended_at: undefined,
			prompt_tokens: chunks.promptTokens(body),
			cached_tokens: 0,
			output_tokens_sent: 0,
			reasoning_tokens: 0,
			ended: "open",
			request: request.headers["x-throughline-request"]?.toString(),
			attempt: request.headers["x-throughline-attempt"]?.toString(),
		};
		bill.cached_tokens = Math.min(behaviour.cached_tokens, bill.prompt_tokens);
		bills.push(bill);
		open += 1;
		response.once("close", () => {
			bill.ended_at = Date.now();
			if (bill.ended === "open") bill.ended = response.writableFinished ? "complete" : "client_gone";
			open -= 1;
			changed();
		});
		changed();
		const call: Call = { body, behaviour, answer: answer(body, behaviour), bill, response };
		const { fault } = behaviour;
		if (fault?.kind === "silent") return;
		if (fault?.kind === "status") refuse(call, fault);
		else if (body.stream === true) stream(call);
		else if (behaviour.first_ms === 0 && behaviour.every_ms === 0) atOnce(call);
		else {
			const all = behaviour.first_ms + behaviour.every_ms * Math.max(0, call.answer.frames.length - 1);
			const timer = setTimeout(() => atOnce(call), all);
			response.once("close", () => clearTimeout(timer));
		}
	};

	const billed = (query: URLSearchParams, response: ServerResponse) => {
		const calls = Number(query.get("calls") ?? 0);
		const ready = () => bills.length >= calls && (!query.has("settled") || open === 0);
		const check = () => {
			if (!ready()) return false;
			response.writeHead(200, json);
			response.end(JSON.stringify(bills));
			return true;
		};
		if (!check()) {
			waiting.add(check);
			response.once("close", () => waiting.delete(check));
		}
	};

	const route = async (request: IncomingMessage, response: ServerResponse) => {
		const target = request.url ?? "/";
		if (request.method === "POST" && target.endsWith("/chat/completions")) return complete(request, response);
		const { pathname, searchParams } = new URL(target, "http://scripted");
		if (request.method === "GET" && pathname === "/bill") return billed(searchParams, response);
		if (request.method === "GET" && pathname === "/v1/models") {
			response.writeHead(200, json);
			return response.end(
				'{"object":"list","data":[{"id":"scripted","object":"model","created":0,"owned_by":"scripted"}]}',
			);
		}
		if (request.method === "POST" && (pathname === "/script" || pathname === "/reset")) {
			const text = await bodyOf(request);
			next = planned(plan.parse(pathname === "/script" ? JSON.parse(text) : {}));
			if (pathname === "/reset") bills.length = 0;
			response.writeHead(204);
			return response.end();
		}
		response.writeHead(404, json);
		return response.end(errorBody(`Nothing at ${request.method} ${pathname}`, "not_found"));
	};

	const server = createServer({ keepAliveTimeout: 60_000, noDelay: true }, (request, response) => {
		route(request, response).catch((error: unknown) => {
			if (!response.headersSent) response.writeHead(400, json);
			response.end(errorBody(String(error), "invalid_request"));
		});
	});
	server.listen(port, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	if (address === null || typeof address === "string") throw new Error("expected a TCP address to listen on");
	return {
		url: `http://127.0.0.1:${address.port}`,
		close: async () => {
			server.close();
			server.closeAllConnections();
			await once(server, "close");
		},
	};
}
