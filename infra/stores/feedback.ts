import type { Feedback } from "../../gateway/ports.ts";
import type { Documents } from "./documents.ts";

/** Feedback beside the telemetry record of its request; a principal's later word replaces the earlier one. */
export function storedFeedback(documents: Documents): Feedback {
	return {
		async record(tenant, request, feedback) {
			const id = `${request}:${feedback.principal}`;
			for (;;) {
				const stored = await documents.get(tenant, "feedback", id);
				const change = stored
					? ({ op: "replace", kind: "feedback", id, value: feedback, version: stored.version } as const)
					: ({ op: "insert", kind: "feedback", id, value: feedback } as const);
				if ((await documents.commit(tenant, [change])) === "done") return;
			}
		},
	};
}
