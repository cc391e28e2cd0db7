import type { TelemetryRecord } from "../../actors/telemetry/record.ts";
import type { Entry } from "../../schemas/entry.ts";
import { redact } from "../../schemas/redact.ts";
import { requestId } from "../../schemas/tokens.ts";
import { openBus } from "./bus.ts";
import { command, failure, MISUSE } from "./command.ts";
import { findRecord, recordTable } from "./record-view.ts";
import { timeline } from "./show-view.ts";
import { readTenant, tenantOption } from "./stores.ts";
import { painter, print, printError } from "./terminal.ts";

export const show = command({
	name: "show",
	summary: "Shows the log of a request: who wrote what, when, in answer to what.",
	details:
		"For operators: it reads NATS itself (NATS_URL, else the server of the data folder). Texts of people are hidden.\n" +
		"When the log has expired, the telemetry record is shown.",
	parameters: ["request"],
	options: {
		tenant: tenantOption,
		json: { type: "boolean", description: "one JSON object per entry and line" },
		unredacted: { type: "boolean", description: "show personal fields too" },
	},
	example: "show r_abcdefghijklmnopqrstuvwxyz --tenant acme",
	async run({ tenant: given, json, unredacted }, [request = ""]) {
		const tenant = readTenant(given);
		checkRequest(request);
		const entries = await readLog(tenant, request);
		if (entries.length === 0) return showRecord(tenant, request, json);
		if (json) for (const entry of entries) print(`${JSON.stringify(unredacted ? entry : redact(entry))}\n`);
		else print(timeline(entries, { unredacted, paint: painter(process.stdout), now: Date.now() }));
		return 0;
	},
});

export function checkRequest(request: string): void {
	if (!requestId.safeParse(request).success)
		throw failure(`a request id is expected (r_ and 26 characters), got "${request}"`, MISUSE);
}

async function readLog(tenant: string, request: string): Promise<readonly Entry[]> {
	await using bus = await openBus();
	const tail = await bus.log.tail(tenant, request);
	// Awaited here: the connection closes when this function is left.
	return tail ? await bus.log.read(tail, 0) : [];
}

async function showRecord(tenant: string, request: string, json: boolean): Promise<number> {
	const record: TelemetryRecord | undefined = await findRecord(tenant, request);
	if (!record)
		throw failure(
			`${tenant} has no request ${request}: neither its log nor a record of it is there. Another tenant? See --tenant.`,
		);
	printError("The log of this request has expired; this is the record that was kept.\n");
	print(json ? `${JSON.stringify(record)}\n` : recordTable(record));
	return 0;
}
