import type { Feedback } from "../../gateway/ports.ts";
import type { Documents } from "./documents.ts";
import { put } from "./put.ts";

/** Feedback beside the telemetry record of its request; a principal's later word replaces the earlier one. */
export const storedFeedback = (documents: Documents): Feedback => ({
	record: (tenant, request, feedback) =>
		put(documents, tenant, "feedback", `${request}:${feedback.principal}`, feedback),
});
