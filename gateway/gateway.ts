import { MAX_DOCUMENT_BYTES } from "./doors/documents.ts";
import { answerHttp, type HttpPorts } from "./doors/http.ts";
import { openSseStreams } from "./doors/sse.ts";
import { openWebSocketDoor, SOCKET_PATH, SUBPROTOCOL } from "./doors/websocket.ts";
import { openFollowers } from "./followers.ts";
import { CLOSE } from "./outbox.ts";
import type { GatewayPorts } from "./ports.ts";
import { MAX_FRAME_BYTES } from "./read-frame.ts";
import type { Doors } from "./transport.ts";
import type { Listener } from "./uws.ts";

/** Milliseconds that a client may leave its stream unread (G5). */
const STALLED_MS = 10_000;

export type Gateway = {
	port: number;
	/** Takes no new connections, answers waiting calls with where their result will be, and closes the others so that they resume elsewhere. */
	drain(): Promise<void>;
	/** Drains and cuts what is left. */
	stop(): Promise<void>;
};

/** Starts the doors on a transport: `listen` binds them, as `(doors) => listen(library, {host, port}, doors)` of `uws.ts` does. */
export async function startGateway(
	ports: GatewayPorts & { listen(doors: Doors): Promise<Listener> },
): Promise<Gateway> {
	const { logger, meter } = ports;
	const followers = openFollowers(ports.log);
	const sse = openSseStreams();
	const core: HttpPorts = { ...ports, followers, sse, waiting: new Set() };
	const sockets = openWebSocketDoor(core);
	meter.gauge("throughline_gateway_sockets", sockets.size);
	meter.gauge("throughline_gateway_follows", followers.size);

	const listener = await ports.listen({
		http: (exchange) => answerHttp(core, exchange),
		socketPath: SOCKET_PATH,
		subprotocol: SUBPROTOCOL,
		socket: sockets.serve,
		maxBodyBytes: MAX_DOCUMENT_BYTES,
		// Twice the protocol's: a frame that is too long gets an answer before the library closes the socket.
		maxFrameBytes: 2 * MAX_FRAME_BYTES,
		stalledMs: STALLED_MS,
		onError: (error, during) => logger.error({ err: error, during }, "a call failed"),
	});

	const drain = async () => {
		listener.stopAccepting();
		for (const leave of [...core.waiting]) leave();
		await listener.closeAll(CLOSE.draining, "the server drains: connect again and resume");
	};
	return {
		port: listener.port,
		drain,
		async stop() {
			await drain();
			listener.destroy();
			sockets[Symbol.dispose]();
			sse[Symbol.dispose]();
			followers[Symbol.dispose]();
		},
	};
}
