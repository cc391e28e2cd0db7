import { command, failure } from "./command.ts";
import { findRecord, recordTable } from "./record-view.ts";
import { checkRequest } from "./show.ts";
import { readTenant, tenantOption } from "./stores.ts";
import { print } from "./terminal.ts";

export const record = command({
	name: "record",
	summary: "Shows the telemetry record of an ended request: route, model, times, tokens, cost.",
	parameters: ["request"],
	options: { tenant: tenantOption },
	example: "record r_abcdefghijklmnopqrstuvwxyz --tenant acme",
	async run({ tenant: given }, [request = ""]) {
		const tenant = readTenant(given);
		checkRequest(request);
		const found = await findRecord(tenant, request);
		if (!found)
			throw failure(
				`${tenant} has no record of ${request}: it is unknown, still running, or of another tenant (--tenant)`,
			);
		print(recordTable(found));
		return 0;
	},
});
