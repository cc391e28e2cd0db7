import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readConfig } from "../../schemas/config.ts";
import type { Bench, BenchOptions, Report } from "./bench.ts";
import { machine, machineLines } from "./machine.ts";
import { memory } from "./memory.ts";
import { throughput } from "./throughput.ts";
import { ttft } from "./ttft.ts";

const benches: Readonly<Record<string, Bench>> = { ttft, throughput, memory };

const USAGE = `npm run bench -- <name> [--trials 5] [--seconds <per trial>] [--in-flight <requests>] [--keyless] [--profile]

${Object.entries(benches)
	.map(([name, { goal }]) => `  ${name.padEnd(12)}${goal}`)
	.join("\n")}

The last line is one JSON object; raw output is kept in <THROUGHLINE_DATA>/bench.
`;

const print = (text: string) => process.stdout.write(`${text}\n`);

/** Exits with 2: the call itself is wrong. */
function misused(what: string): never {
	process.stderr.write(`${what}\n\n${USAGE}`);
	process.exit(2);
}

function readOptions(): { name: string; options: BenchOptions } {
	const count = (name: string, text: string) => {
		const value = Number(text);
		if (!(value > 0)) misused(`--${name} is expected to be a number over 0, got "${text}"`);
		return value;
	};
	try {
		const { values, positionals } = parseArgs({
			allowPositionals: true,
			options: {
				trials: { type: "string", default: "5" },
				seconds: { type: "string" },
				"in-flight": { type: "string" },
				keyless: { type: "boolean", default: false },
				profile: { type: "boolean", default: false },
			},
		});
		const inFlight = values["in-flight"];
		const options: BenchOptions = {
			trials: Math.ceil(count("trials", values.trials)),
			seconds: values.seconds === undefined ? undefined : count("seconds", values.seconds),
			inFlight: inFlight === undefined ? undefined : Math.ceil(count("in-flight", inFlight)),
			keyless: values.keyless,
			profile: values.profile,
		};
		return { name: positionals[0] ?? "help", options };
	} catch (problem) {
		return misused(problem instanceof Error ? problem.message : String(problem));
	}
}

const { name, options } = readOptions();
if (name === "help") {
	print(USAGE);
	process.exit(0);
}
const bench = benches[name] ?? misused(`One of ${Object.keys(benches).join(", ")} is expected, got "${name}"`);

const folder = join(readConfig(process.env).data, "bench");
await mkdir(folder, { recursive: true });
const file = join(folder, `${name}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.jsonl`);
const raw = createWriteStream(file);
const report: Report = { print, raw: (line) => void raw.write(`${JSON.stringify(line)}\n`) };

const facts = await machine();
report.raw({ name, at: Date.now(), ...facts, ...options });
print(`${name}: ${bench.goal}\n${machineLines(facts)}`);
try {
	const verdict = await bench.run(options, report);
	report.raw({ phase: "verdict", ...verdict });
	await new Promise((resolve) => raw.end(resolve));
	print(`\nRaw output: ${file}`);
	print(JSON.stringify({ name, ...verdict }));
	process.exit(verdict.pass ? 0 : 1);
} catch (problem) {
	process.stderr.write(`${problem instanceof Error ? problem.stack : String(problem)}\n`);
	process.exit(1);
}
