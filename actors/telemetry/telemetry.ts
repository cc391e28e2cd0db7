import { type Entry, isEnd } from "../../schemas/entry.ts";
import type { Observer } from "../actor.ts";
import { recordOf, type TelemetryRecord } from "./record.ts";

export type TelemetryPorts = {
	/** Keeps the record; the same request again replaces it. */
	store(record: TelemetryRecord): Promise<void>;
	/** Every entry of a request, when this process has not seen them all. */
	history(end: Entry): Promise<readonly Entry[]>;
	/** Requests whose entries are kept until their end. */
	held: number;
};

/** Sees every entry and writes one record per request when it has ended. Other processes see entries too: what is missing is read. */
export function telemetry({ store, history, held }: TelemetryPorts): Observer {
	const open = new Map<string, Entry[]>();
	return {
		shape: "observer",
		name: "telemetry",
		async observe(entry) {
			const key = `${entry.tenant}/${entry.request}`;
			const seen = [...(open.get(key) ?? []).filter(({ index }) => index !== entry.index), entry];
			if (!isEnd(entry)) {
				open.set(key, seen);
				if (open.size > held) open.delete(open.keys().next().value ?? "");
				return;
			}
			open.delete(key);
			const ordered = seen.sort((a, b) => a.index - b.index);
			const record = recordOf(ordered.length === entry.index ? ordered : await history(entry));
			// Nothing: the log has expired while this process was away.
			if (record) await store(record);
		},
	};
}
