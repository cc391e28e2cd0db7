import type { Log } from "../../../subjects/log.ts";
import { jetStreamLog } from "../../bus/jetstream-log.ts";
import { type Link, LinkLost } from "../../bus/link.ts";

const isAppend = (subject: string): boolean => subject.startsWith("log.");

/** A log on the real broker whose first append arrives while its ack does not; `meanwhile` happens before the writer learns of it. */
export function openLossyLog(link: Link, meanwhile: () => Promise<void>): Log {
	let lost = false;
	return onLink(link, async (subject, payload, fields) => {
		const answer = await link.ask(subject, payload, fields);
		if (lost || !isAppend(subject)) return answer;
		lost = true;
		await meanwhile();
		throw new LinkLost("the connection dropped before the ack came");
	});
}

/** A log on the real broker whose first append is on its way when the connection drops, and lands just before the second try. */
export function openLateLog(link: Link): Log {
	let late: (() => Promise<unknown>) | undefined;
	let tries = 0;
	return onLink(link, async (subject, payload, fields) => {
		if (!isAppend(subject)) return link.ask(subject, payload, fields);
		tries += 1;
		if (tries === 1) {
			late = () => link.ask(subject, payload, fields);
			throw new LinkLost("the connection dropped before the append arrived");
		}
		await late?.();
		return link.ask(subject, payload, fields);
	});
}

const onLink = (link: Link, ask: Link["ask"]): Log =>
	jetStreamLog({ link: { ...link, ask }, writer: "lossy", patienceMs: 5_000 });
