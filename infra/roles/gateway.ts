import { type Gateway, startGateway } from "../../gateway/gateway.ts";
import { listen } from "../../gateway/uws.ts";
import { jetStreamLog } from "../bus/jetstream-log.ts";
import { loadUws } from "../native/uws-binary.ts";
import { cacheFolder } from "../paths.ts";
import { storedAdmission } from "../stores/admission.ts";
import { storedFeedback } from "../stores/feedback.ts";
import { keyCredentials } from "../stores/key-credentials.ts";
import { sessionOwners, storedResults } from "../stores/sessions.ts";
import { documentShelf } from "../stores/shelf.ts";
import { openMeter } from "../telemetry/meter.ts";
import type { Parts } from "./parts.ts";

/** How long a client at a door waits for a broker that is away. */
const PATIENCE_MS = 2_000;

/** The gateway with everything that it needs of the outside. */
export async function startGatewayRole({
	config,
	name,
	logger,
	documents,
	link,
	search,
	bundle,
}: Parts): Promise<Gateway> {
	const uws = await loadUws(cacheFolder, (line) => logger.info(line));
	return startGateway({
		log: jetStreamLog({ link, writer: name, patienceMs: PATIENCE_MS }),
		credentials: keyCredentials(documents),
		results: storedResults(documents),
		owners: sessionOwners(documents),
		admission: storedAdmission(documents, config),
		shelf: documentShelf(documents, search),
		feedback: storedFeedback(documents),
		features: {
			sha256: bundle.sha256,
			standard: config.feature,
			find: (named) => {
				// The name is a client's: "constructor" is no feature.
				const feature = Object.hasOwn(bundle.features, named) ? bundle.features[named] : undefined;
				return feature && { roles: feature.roles, deadline_ms: feature.deadline_ms, session: feature.session.model };
			},
		},
		meter: openMeter(),
		ready: async () => (link.isUp() ? [] : ["the connection to nats-server"]),
		logger,
		listen: (doors) => listen(uws, { host: config.host, port: config.port }, doors),
	});
}
