import type { Following, Log } from "../subjects/log.ts";

/** Requests that a watch remembers, so that a late push of one that has ended does not bring it back. */
const REMEMBERED = 256;

/** Names each request of a session once, when it begins or, if that was missed, when it moves. Dispose to stop. */
export function watchSession(
	log: Log,
	what: { tenant: string; session: string },
	onRequest: (request: string) => void,
): Following {
	const known = new Set<string>();
	return log.follow(what, ({ request }) => {
		if (known.has(request)) return;
		known.add(request);
		if (known.size > REMEMBERED)
			for (const oldest of known) {
				known.delete(oldest);
				break;
			}
		onRequest(request);
	});
}
