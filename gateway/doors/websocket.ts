import { type ConnectionPorts, type Served, serveConnection } from "../connection.ts";
import type { HttpRequest, Socket } from "../transport.ts";
import { bearerToken } from "./call.ts";

export const SOCKET_PATH = "/v1/stream";
export const SUBPROTOCOL = "throughline.v1";

export type WebSocketDoor = Disposable & {
	serve(socket: Socket, request: HttpRequest): void;
	size(): number;
};

/** Keys are looked at again this often, so that a revoked one closes its sockets within 5 s (P3). */
const RECHECK_MS = 4_000;

/** The WebSockets of a process, with the one timer that looks at their keys again. */
export function openWebSocketDoor(ports: ConnectionPorts, recheckMs = RECHECK_MS): WebSocketDoor {
	const all = new Set<Served>();

	/** One look-up per key, however many sockets it has opened. */
	async function recheck(): Promise<void> {
		const byToken = new Map<string, Served[]>();
		for (const served of all) {
			const token = served.token();
			if (token === undefined) continue;
			const sharing = byToken.get(token);
			if (sharing) sharing.push(served);
			else byToken.set(token, [served]);
		}
		for (const [token, sharing] of byToken) {
			// A look-up that fails is no verdict on the key.
			const known = await ports.credentials.identify(token).catch((problem: unknown) => {
				ports.logger.warn({ err: problem }, "a key could not be looked at again");
				return true;
			});
			if (!known) for (const served of sharing) served.revoke();
		}
	}
	const timer = setInterval(() => void recheck(), recheckMs);
	timer.unref();

	return {
		serve(socket, request) {
			const served = serveConnection(ports, socket, bearerToken(request.headers), {
				onClose: () => all.delete(served),
			});
			all.add(served);
		},
		size: () => all.size,
		[Symbol.dispose]: () => clearInterval(timer),
	};
}
