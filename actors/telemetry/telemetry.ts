import { type Entry, isEnd } from "../../schemas/entry.ts";
import type { Observer } from "../actor.ts";
import { recordOf, type TelemetryRecord, unloadedTrace } from "./record.ts";

export type TelemetryPorts = {
	/** Keeps the record; the same request again replaces it. */
	store(record: TelemetryRecord): Promise<void>;
	/** Every entry of a request. */
	history(end: Entry): Promise<readonly Entry[]>;
};

/** Writes one record per request when it has ended. The end carries what it needs, unless the request was never loaded. */
export const telemetry = ({ store, history }: TelemetryPorts): Observer => ({
	shape: "observer",
	name: "telemetry",
	async observe(entry) {
		if (!isEnd(entry)) return;
		const record = recordOf(entry, undefined) ?? recordOf(entry, unloadedTrace((await history(entry))[0]));
		// Nothing: the log has expired while this process was away.
		if (record) await store(record);
	},
});
