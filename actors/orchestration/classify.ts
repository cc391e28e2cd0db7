import type { Route } from "../../schemas/events/request.ts";
import type { FeatureFile } from "../../schemas/feature.ts";

export type Classification = { route: Route; reason: string; scores: Record<string, number>; margin: number };

/**
 * Scores every route by the weights of the rules whose pattern the input matches. The best one wins if it leads the next
 * by the feature's margin; otherwise the declared fallback does.
 */
export function classify({ classification }: Pick<FeatureFile, "classification">, input: string): Classification {
	const scores = new Map<Route, number>();
	for (const { route, pattern, weight } of classification.rules) {
		if (new RegExp(pattern, "iu").test(input)) scores.set(route, (scores.get(route) ?? 0) + weight);
	}
	const ranked = [...scores].sort(([, a], [, b]) => b - a);
	const [best, second] = ranked;
	const margin = (best?.[1] ?? 0) - (second?.[1] ?? 0);
	const told = { scores: Object.fromEntries(scores), margin };
	if (!best) return { route: classification.fallback, reason: "no rule matched", ...told };
	if (margin < classification.margin)
		return { route: classification.fallback, reason: `margin ${margin} is below ${classification.margin}`, ...told };
	return { route: best[0], reason: "rules", ...told };
}
