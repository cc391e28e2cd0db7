import { createServer } from "node:net";

/**
 * A free port on the loopback address. Below the ports that systems give to outgoing connections (from 32768 on Linux): there, a client that tries to reconnect
 * to a server that is down can be given that very port, connect to itself, and keep the server from coming back.
 */
export async function freePort(): Promise<number> {
	while (true) {
		const port = 20_000 + Math.floor(Math.random() * 10_000);
		if (await isFree(port)) return port;
	}
}

/** Nobody listens there on the loopback address. */
export function isFree(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const probe = createServer();
		probe.once("error", () => resolve(false));
		probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
	});
}
