import { randomBytes } from "node:crypto";

/** W3C Trace Context: version, trace id, parent id, flags; later versions may append fields. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-|$)/;

/** The request's own `traceparent`: a new span, in the caller's trace if the header is a valid one, else in a new trace. */
export function startTrace(header: string | undefined): string {
	const [, trace, flags] = TRACEPARENT.exec(header ?? "") ?? [];
	return `00-${trace ?? randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-${flags ?? "01"}`;
}
