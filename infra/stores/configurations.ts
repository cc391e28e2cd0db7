import type { Bundle } from "../../schemas/feature.ts";
import type { Documents } from "./documents.ts";

/** Holds what belongs to no tenant. */
const SYSTEM = "-";

export type Configurations = {
	/** Keeps a configuration under its hash, for processes and replays that have another one (L15). */
	keep(bundle: Bundle): Promise<void>;
	/** The configuration of a hash, from memory when it was asked for before. */
	load(sha256: string): Promise<Bundle>;
};

export function storedConfigurations(documents: Documents): Configurations {
	const known = new Map<string, Bundle>();
	return {
		async keep(bundle) {
			known.set(bundle.sha256, bundle);
			await documents.commit(SYSTEM, [{ op: "insert", kind: "config", id: bundle.sha256, value: bundle }]);
		},
		async load(sha256) {
			const held = known.get(sha256) ?? (await documents.get<Bundle>(SYSTEM, "config", sha256))?.value;
			if (!held)
				throw new Error(
					`the configuration ${sha256} is expected in the store, where every process keeps its own at start`,
				);
			known.set(sha256, held);
			return held;
		},
	};
}
