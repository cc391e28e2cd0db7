import { decode } from "../../subjects/encoding.ts";
import { PUSH_PREFIX, pushedTenant } from "../../subjects/subjects.ts";
import { openBus } from "./bus.ts";
import { command } from "./command.ts";
import { readTenant, tenantOption } from "./stores.ts";
import { tailLines } from "./tail-view.ts";
import { painter, print, printError } from "./terminal.ts";

export const tail = command({
	name: "tail",
	summary: "Shows the events of a tenant as they happen, one per line; Ctrl-C ends it.",
	details:
		"For operators: it reads NATS itself (NATS_URL, else the server of the data folder). Texts of people are hidden.",
	parameters: [],
	options: {
		tenant: tenantOption,
		unredacted: { type: "boolean", description: "show personal fields too" },
	},
	example: "tail --tenant acme",
	async run({ tenant: given, unredacted }) {
		const tenant = readTenant(given);
		await using bus = await openBus();
		const paint = painter(process.stdout);
		const subscription = bus.connection.subscribe(pushedTenant(tenant));
		await bus.connection.flush();
		printError(`events of ${tenant}, from now on…\n`);
		const end = () => subscription.unsubscribe();
		process.once("SIGINT", end);
		process.once("SIGTERM", end);
		for await (const { subject, headers, data } of subscription) {
			const entry = decode(subject.slice(PUSH_PREFIX.length + 1), Number(headers?.get("Nats-Sequence")), data);
			print(
				tailLines(entry, { unredacted, paint })
					.map((line) => `${line}\n`)
					.join(""),
			);
		}
		return 0;
	},
});
