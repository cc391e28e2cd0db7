/** Values of several trials, or of any other kind, by their middle and their ends. */
export type Spread = { median: number; min: number; max: number };

export type Percentiles = { count: number; p50: number; p95: number; p99: number; max: number };

/** The value at a share of the way through (nearest rank): `percentile(values, 0.99)` has at most 1 % above it. Throws when there are none. */
export function percentile(values: readonly number[], share: number): number {
	const sorted = [...values].sort((a, b) => a - b);
	const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
	if (value === undefined) throw new Error("percentile: expected at least one value, got none");
	return value;
}

export const percentiles = (values: readonly number[]): Percentiles => ({
	count: values.length,
	p50: percentile(values, 0.5),
	p95: percentile(values, 0.95),
	p99: percentile(values, 0.99),
	max: percentile(values, 1),
});

/** The median of an even number of values is the mean of the two in the middle. */
export function spread(values: readonly number[]): Spread {
	const below = percentile(values, 0.5);
	const above = -percentile(
		values.map((value) => -value),
		0.5,
	);
	return { median: (below + above) / 2, min: percentile(values, 0), max: percentile(values, 1) };
}

/** Cuts one run into trials of the same length; what begins before 0 or after the last one belongs to none. */
export function windows<T>(items: readonly T[], at: (item: T) => number, count: number, length: number): T[][] {
	const cut: T[][] = Array.from({ length: count }, () => []);
	for (const item of items) cut[Math.floor(at(item) / length)]?.push(item);
	return cut;
}
