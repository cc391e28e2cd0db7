import { CodedError } from "../../schemas/errors.ts";
import { identifyCaller } from "../caller.ts";
import type { GatewayPorts } from "../ports.ts";
import type { Exchange } from "../transport.ts";
import { bearerToken, type Call } from "./call.ts";
import { type DocumentPorts, deleteDocument, listDocuments, postDocument } from "./documents.ts";
import { replyJson, replyProblem } from "./problem.ts";
import { getEvents, getRequest, postCancel, postFeedback, postRequest, type RequestPorts } from "./requests.ts";

export type HttpPorts = DocumentPorts & RequestPorts & Pick<GatewayPorts, "credentials" | "logger" | "meter" | "ready">;

/** A route answers a caller that is known, or anybody. `{id}` stands for one part of the path. */
type Route = { method: string; path: string } & (
	| { answer(ports: HttpPorts, call: Call): Promise<void> }
	| { answerAnybody(ports: HttpPorts, exchange: Exchange): Promise<void> }
);

const routes: readonly Route[] = [
	{ method: "POST", path: "/v1/requests", answer: postRequest },
	{ method: "GET", path: "/v1/requests/{id}", answer: getRequest },
	{ method: "GET", path: "/v1/requests/{id}/events", answer: getEvents },
	{ method: "POST", path: "/v1/requests/{id}/cancel", answer: postCancel },
	{ method: "POST", path: "/v1/requests/{id}/feedback", answer: postFeedback },
	{ method: "POST", path: "/v1/documents", answer: postDocument },
	{ method: "GET", path: "/v1/documents", answer: listDocuments },
	{ method: "DELETE", path: "/v1/documents/{id}", answer: deleteDocument },
	{ method: "GET", path: "/healthz", answerAnybody: getHealth },
	{ method: "GET", path: "/readyz", answerAnybody: getReadiness },
	{ method: "GET", path: "/metrics", answerAnybody: getMetrics },
];

/** Answers one HTTP call; resolves when it is answered or streaming. */
export async function answerHttp(ports: HttpPorts, exchange: Exchange): Promise<void> {
	try {
		await route(ports, exchange);
	} catch (error) {
		// Anything else is a fault of ours: the transport reports it and answers 500.
		if (!(error instanceof CodedError)) throw error;
		ports.meter.count("throughline_gateway_errors_total", { code: error.code, door: "http" });
		replyProblem(exchange, error);
	}
}

async function route(ports: HttpPorts, exchange: Exchange): Promise<void> {
	const { method, path, headers } = exchange.request;
	const here = routes.flatMap((route) => {
		const id = matches(route.path, path);
		return id === undefined ? [] : [{ route, id }];
	});
	const found = here.find(({ route }) => route.method === method);
	if (!found) {
		const allow = here.map(({ route }) => route.method).join(", ");
		if (here.length === 0) throw new CodedError("not_found", `a path of this server is expected: ${paths()}`);
		const detail = `${path} takes ${allow}, got ${method}`;
		replyProblem(exchange, new CodedError("method_not_allowed", detail), { allow });
		return;
	}
	if ("answerAnybody" in found.route) return found.route.answerAnybody(ports, exchange);
	const identity = await identifyCaller(ports, bearerToken(headers));
	await found.route.answer(ports, { exchange, identity, id: found.id });
}

const paths = (): string => [...new Set(routes.map(({ path }) => path)), "/v1/stream (WebSocket)"].join(", ");

/** The part of the path that stands for `{id}`, or "" where the pattern has none; nothing when they differ. */
function matches(pattern: string, path: string): string | undefined {
	const wanted = pattern.split("/");
	const got = path.split("/");
	if (wanted.length !== got.length) return undefined;
	let id = "";
	for (const [at, part] of wanted.entries()) {
		const given = got[at] ?? "";
		if (part === "{id}" && given !== "") id = given;
		else if (part !== given) return undefined;
	}
	return id;
}

async function getHealth(_: HttpPorts, exchange: Exchange): Promise<void> {
	replyJson(exchange, 200, { status: "ok" });
}

async function getReadiness({ ready }: HttpPorts, exchange: Exchange): Promise<void> {
	const missing = await ready();
	if (missing.length === 0) replyJson(exchange, 200, { status: "ready" });
	else replyJson(exchange, 503, { status: "not ready", missing }, { "retry-after": "1" });
}

async function getMetrics({ meter }: HttpPorts, exchange: Exchange): Promise<void> {
	exchange.reply(200, { "content-type": "text/plain; version=0.0.4" }, meter.render());
}
