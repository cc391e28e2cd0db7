import {
	AckPolicy,
	DeliverPolicy,
	DiscardPolicy,
	jetstreamManager,
	RetentionPolicy,
	StorageType,
	type StreamConfig,
} from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { type ConsumerDeclaration, consumers, type StreamDeclaration, streams } from "../../subjects/catalog.ts";

const MINIMUM_SERVER = "2.12.0";
const NANOSECONDS_PER_MS = 1_000_000;

const configOf = ({ discard, ...declared }: StreamDeclaration): Partial<StreamConfig> & { name: string } => ({
	...declared,
	retention: RetentionPolicy.Limits,
	storage: StorageType.File,
	discard: discard === "new" ? DiscardPolicy.New : DiscardPolicy.Old,
	num_replicas: 1,
});

const consumerOf = ({ name, filter, ack_wait_ms, max_ack_pending }: ConsumerDeclaration) => ({
	durable_name: name,
	filter_subject: filter,
	ack_policy: AckPolicy.Explicit,
	deliver_policy: DeliverPolicy.All,
	ack_wait: ack_wait_ms * NANOSECONDS_PER_MS,
	max_deliver: -1,
	max_ack_pending,
});

/** Fields of `wanted` that the server did not take over; old servers ignore options without a word (L16). */
function missing(wanted: Record<string, unknown>, got: Record<string, unknown>): string[] {
	return Object.entries(wanted).flatMap(([field, value]) =>
		JSON.stringify(got[field] ?? null) === JSON.stringify(value)
			? []
			: [`${field} (wanted ${JSON.stringify(value)}, got ${JSON.stringify(got[field])})`],
	);
}

const isOlder = (version: string, minimum: string): boolean => {
	const [a, b] = [version, minimum].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
	for (let at = 0; at < 3; at++) {
		const difference = (a?.[at] ?? 0) - (b?.[at] ?? 0);
		if (difference !== 0) return difference < 0;
	}
	return false;
};

/**
 * Creates or updates every stream and consumer of the catalog and compares what the server echoes with what was asked (L16).
 * Throws, naming what is missing, when a guarantee is not there.
 */
export async function ensureStreams(connection: NatsConnection, logMaxAgeHours: number): Promise<void> {
	const version = connection.info?.version ?? "0";
	if (isOlder(version, MINIMUM_SERVER)) {
		throw new Error(
			`nats-server ${MINIMUM_SERVER} or newer is expected (position checks over wildcards, scheduled messages), got ${version}. Point NATS_URL at a newer one, or unset it to have one fetched.`,
		);
	}
	const manager = await jetstreamManager(connection);
	// The client library writes into what it is given, so it gets copies.
	for (const declared of streams(logMaxAgeHours)) {
		const wanted = configOf(declared);
		const known = await manager.streams.info(declared.name).catch(() => undefined);
		const { config } = known
			? await manager.streams.update(declared.name, { ...wanted })
			: await manager.streams.add({ ...wanted });
		refuse(`stream ${declared.name}`, version, missing(wanted, { ...config }));
	}
	for (const declared of consumers) {
		const wanted = consumerOf(declared);
		const { config } = await manager.consumers.add(declared.stream, { ...wanted });
		refuse(`consumer ${declared.name}`, version, missing(wanted, { ...config }));
	}
}

function refuse(what: string, version: string, faults: string[]): void {
	if (faults.length > 0)
		throw new Error(
			`nats-server ${version} does not give ${what} what it needs: ${faults.join("; ")}. Use nats-server ${MINIMUM_SERVER} or newer.`,
		);
}
