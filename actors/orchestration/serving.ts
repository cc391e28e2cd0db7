import type { Bundle, Feature, RouteRow } from "../../schemas/feature.ts";

/** The configuration that a routed request is served under. */
export type Serving = { bundle: Bundle; feature: Feature; row: RouteRow };
