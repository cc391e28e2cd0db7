import type * as uws from "uWebSockets.js";
import { STATUS_CODES } from "node:http";
import { type ErrorCode, errors } from "../schemas/errors.ts";
import { corked, guarded } from "./guarded.ts";
import { collectBody } from "./request-body.ts";
import type { Doors, Exchange, HttpRequest, Outflow, Socket } from "./transport.ts";
import { openOutflow } from "./uws-outflow.ts";
import { type Connection, MAX_BUFFERED_BYTES, openConnection } from "./uws-socket.ts";

/** The loaded library; infra loads it, since only infra touches the file system. */
export type UwsModule = typeof uws;

const CLOSED_PER_TURN = 100;
/** LIBUS_LISTEN_EXCLUSIVE_PORT: without it a second process binds the same port and each gets some of the clients. */
const EXCLUSIVE_PORT = 1;

export type Listener = {
	port: number;
	/** No new connections and no new WebSockets; what is open goes on. */
	stopAccepting(): void;
	/** Ends every stream and closes every WebSocket with this code, a hundred per turn of the event loop. */
	closeAll(code: number, reason: string): Promise<void>;
	/** Cuts every connection that is still there. */
	destroy(): void;
};

type UserData = { request: HttpRequest | undefined; connection: Connection | undefined };
/** The overload with both host and options, which the library has and its types leave out. */
type ExclusiveApp = uws.TemplatedApp & {
	listen(
		host: string,
		port: number,
		options: number,
		opened: (listening: uws.us_listen_socket | false) => void,
	): unknown;
};

/** Listens on `where`; port 0 takes a free one. Rejects when the address cannot be had. */
export function listen(library: UwsModule, where: { host: string; port: number }, doors: Doors): Promise<Listener> {
	const streams = new Set<Outflow>();
	const sockets = new Set<Socket>();
	let accepting = true;
	const app = library.App();

	app.ws<UserData>(doors.socketPath, {
		compression: library.DISABLED,
		idleTimeout: 120,
		sendPingsAutomatically: true,
		maxPayloadLength: doors.maxFrameBytes,
		// Our own limit comes first (see `send`): a close frame still finds room, and nothing is dropped in silence.
		maxBackpressure: 2 * MAX_BUFFERED_BYTES,
		closeOnBackpressureLimit: false,
		upgrade(response, request, context) {
			const { exchange, problem } = openExchange(response, request, doors, streams);
			const offered = exchange.request.headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim());
			if (!accepting) {
				response.close();
			} else if (offered !== undefined && !offered.includes(doors.subprotocol)) {
				const got = JSON.stringify(offered.join(", "));
				problem("invalid_body", `Sec-WebSocket-Protocol: expected an offer of "${doors.subprotocol}", got ${got}.`);
			} else {
				response.upgrade<UserData>(
					{ request: exchange.request, connection: undefined },
					request.getHeader("sec-websocket-key"),
					offered === undefined ? "" : doors.subprotocol,
					request.getHeader("sec-websocket-extensions"),
					context,
				);
			}
		},
		open(ws) {
			const user = ws.getUserData();
			const connection = openConnection(ws, doors);
			const { request } = user;
			user.connection = connection;
			user.request = undefined;
			sockets.add(connection.socket);
			// Not in the turn of the upgrade: what is sent there could close the socket in some versions of the library.
			if (request !== undefined) setImmediate(() => connection.start(request));
		},
		message: (ws, message, isBinary) => ws.getUserData().connection?.message(message, isBinary),
		drain: (ws) => ws.getUserData().connection?.drain(),
		close(ws, code) {
			const { connection } = ws.getUserData();
			if (connection === undefined) return;
			sockets.delete(connection.socket);
			connection.closed(code);
		},
	});

	app.any("/*", (response, request) => {
		const { exchange, fail, mustBeAnswered } = openExchange(response, request, doors, streams);
		// In a turn of its own: within the library's callback all writes share one cork, which loses bytes when it overflows.
		// Also when the client has left meanwhile, for a disconnect is never a cancel (G1).
		setImmediate(() =>
			guarded(() => {
				const answering = doors.http(exchange);
				return answering instanceof Promise ? answering.then(mustBeAnswered) : undefined;
			}, fail),
		);
	});

	return new Promise((resolve, reject) => {
		const opened = (listening: uws.us_listen_socket | false) => {
			if (listening === false) {
				const problem = "the port is taken or reserved, or the address is not of this machine";
				const remedy = "Stop what uses it, or set THROUGHLINE_PORT and THROUGHLINE_HOST to others.";
				reject(new Error(`cannot listen on ${where.host}:${where.port}: ${problem}. ${remedy}`));
				return;
			}
			resolve({
				port: library.us_socket_local_port(listening),
				stopAccepting() {
					if (accepting) library.us_listen_socket_close(listening);
					accepting = false;
				},
				async closeAll(code, reason) {
					await inTurns(streams, (stream) => stream.end());
					await inTurns(sockets, (socket) => socket.close(code, reason));
				},
				destroy() {
					app.close();
				},
			});
		};
		(app as ExclusiveApp).listen(where.host, where.port, EXCLUSIVE_PORT, opened);
	});
}

type OpenExchange = {
	exchange: Exchange;
	fail(error: unknown): void;
	problem(code: ErrorCode, detail: string): void;
	/** Throws if the handler came to its end and left the client waiting. */
	mustBeAnswered(): void;
};

/** waiting → streaming → over, or waiting → over; any → gone, over too as long as bytes wait. In gone `response` is dead. */
type ExchangeState = "waiting" | "streaming" | "over" | "gone";

function openExchange(
	response: uws.HttpResponse,
	native: uws.HttpRequest,
	doors: Doors,
	streams: Set<Outflow>,
): OpenExchange {
	let state: ExchangeState = "waiting";
	const whenGone: (() => void)[] = [];
	response.onAborted(() => {
		state = "gone";
		body?.gone();
		for (const handle of whenGone) guarded(handle, report);
	});
	const request = copyRequest(response, native);
	const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
	const body = length !== "0" || encoding !== undefined ? collectBody(Number(length), doors.maxBodyBytes) : undefined;
	if (body !== undefined) response.onData((piece, last) => body.add(piece, last));

	const report = (error: unknown) => doors.onError(error, `${request.method} ${request.path}`);
	/** Checks everything before it writes anything, so that what fails here can still become a 500. */
	const begin = (next: "streaming" | "over", status: number, headers: Record<string, string>, go: () => void) => {
		if (state !== "waiting") throw new Error("an exchange is answered once, and this one has its answer already");
		const lines = Object.entries(headers);
		const broken = lines.find(([name, value]) => /[^\w-]/.test(name) || /[\r\n\0]/.test(value));
		if (broken !== undefined) throw new Error(`expected a header of one line, got ${JSON.stringify(broken)}`);
		state = next;
		corked(response, () => {
			response.writeStatus(`${status} ${STATUS_CODES[status] ?? ""}`);
			for (const [name, value] of lines) response.writeHeader(name, value);
			go();
		});
	};
	const reply = (status: number, headers: Record<string, string>, text: string) => {
		if (state === "gone") return;
		begin("over", status, headers, () => {
			if (request.method === "HEAD") response.endWithoutBody(Buffer.byteLength(text));
			else if (status === 204 || status === 304) response.endWithoutBody();
			else endWith(response, text);
		});
	};
	const problem = (code: ErrorCode, detail: string) => {
		const { status } = errors[code];
		const json = { type: "about:blank", title: STATUS_CODES[status], status, code, detail };
		reply(status, { "content-type": "application/problem+json" }, JSON.stringify(json));
	};
	const stream = (status: number, headers: Record<string, string>): Outflow => {
		if (state === "gone") return { write: () => "gone", end() {}, onDrain() {} };
		begin("streaming", status, headers, () => {});
		const outflow = openOutflow(response, doors.stalledMs, () => state === "gone", report);
		const closable: Outflow = {
			...outflow,
			end() {
				if (state === "streaming") state = "over";
				streams.delete(closable);
				outflow.end();
			},
		};
		streams.add(closable);
		whenGone.push(() => streams.delete(closable));
		return closable;
	};
	return {
		exchange: {
			request,
			async body(limit) {
				if (body === undefined) return { text: "" };
				const asked = await body.ask(limit);
				await nextTurn();
				return asked;
			},
			reply,
			stream,
			onGone(handle) {
				if (state === "gone") handle();
				else whenGone.push(handle);
			},
		},
		problem,
		fail(error) {
			report(error);
			if (state === "waiting") problem("internal", "A fault of this server. Try again with the same Idempotency-Key.");
			// Broken off rather than ended: a stream that stops because of a fault must not look complete.
			else if (state === "streaming") response.close();
		},
		mustBeAnswered() {
			if (state === "waiting") throw new Error("the handler ended without an answer: expected reply() or stream()");
		},
	};
}

/** Ends with a body of any size; what the peer has no room for is written when it has, and lost if it leaves. */
function endWith(response: uws.HttpResponse, text: string): void {
	const [, done] = response.tryEnd(text, Buffer.byteLength(text));
	if (done) return;
	const bytes = Buffer.from(text);
	response.onWritable((offset) => {
		let taken = false;
		corked(response, () => {
			[taken] = response.tryEnd(bytes.subarray(offset), bytes.length);
		});
		return taken;
	});
}

function copyRequest(response: uws.HttpResponse, request: uws.HttpRequest): HttpRequest {
	const headers: Record<string, string> = Object.create(null);
	request.forEach((name, value) => {
		headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
	});
	return {
		method: request.getCaseSensitiveMethod(),
		path: request.getUrl(),
		query: new URLSearchParams(request.getQuery()),
		headers,
		remote: Buffer.from(response.getRemoteAddressAsText()).toString("latin1"),
	};
}

function nextTurn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}

async function inTurns<T>(items: ReadonlySet<T>, handle: (item: T) => void): Promise<void> {
	let handled = 0;
	for (const item of items) {
		handle(item);
		handled += 1;
		if (handled % CLOSED_PER_TURN === 0) await nextTurn();
	}
}
