import type { Meter } from "../../gateway/ports.ts";

/** Counters and gauges in Prometheus' text format (exposition format 0.0.4). */
export function openMeter(): Meter {
	const counters = new Map<string, Map<string, number>>();
	const gauges = new Map<string, () => number>();
	const labelled = (labels: Readonly<Record<string, string>>) => {
		const parts = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
		return parts.length > 0 ? `{${parts.join(",")}}` : "";
	};
	return {
		count(name, labels = {}) {
			const series = counters.get(name) ?? new Map<string, number>();
			const key = labelled(labels);
			series.set(key, (series.get(key) ?? 0) + 1);
			counters.set(name, series);
		},
		gauge(name, read) {
			gauges.set(name, read);
		},
		render() {
			const lines: string[] = [];
			for (const [name, series] of counters) {
				lines.push(`# TYPE ${name} counter`);
				for (const [labels, value] of series) lines.push(`${name}${labels} ${value}`);
			}
			for (const [name, read] of gauges) lines.push(`# TYPE ${name} gauge`, `${name} ${read()}`);
			return `${lines.join("\n")}\n`;
		},
	};
}
