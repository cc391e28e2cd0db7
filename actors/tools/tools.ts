import type { Entry } from "../../schemas/entry.ts";
import type { DataOf, EventDraft } from "../../schemas/events/all.ts";
import { explain } from "../../schemas/explain.ts";
import { mayUse } from "../../schemas/feature.ts";
import { type Ask, attemptsBegun, isCancelled, type Performance, type Worker } from "../actor.ts";
import type { Tool, ToolCaller } from "./tool.ts";

export type ToolPorts = {
	tools: ReadonlyMap<string, Tool>;
	/** Milliseconds since the epoch. */
	now(): number;
};

/** Characters of a tool's text that reach the model. */
const MAX_RESULT = 16_000;

type Failed = DataOf<"tool.failed">;

/** Runs tools: permission and arguments are checked before anything begins, and the beginning is in the log before the effect (§8, L8). */
export const tools: Worker<"tool.requested", ToolPorts> = {
	shape: "worker",
	name: "tools",
	asks: ["tool.requested"],
	perform,
	abandon: (ask, prior, reason) => [
		failed(ask, prior.length > 0 ? "unknown_outcome" : "failed", reason, prior.length > 0 ? "unknown" : "not_run", 0),
	],
};

async function* perform(
	ask: Ask<"tool.requested">,
	prior: readonly Entry[],
	ports: ToolPorts,
	signal: AbortSignal,
): Performance {
	const { name, tool_call_id, feature, roles, principal, side_effect_key, deadline_at } = ask.data;
	const tool = ports.tools.get(name);
	if (!tool)
		return [failed(ask, "unknown_tool", `there is no tool "${name}"; there are ${[...ports.tools.keys()].join(", ")}`)];
	if (!mayUse(tool, feature, roles))
		return [failed(ask, "forbidden", `"${name}" is not open to this caller in feature "${feature}"`)];
	const args = parse(tool, ask.data.arguments);
	if ("fault" in args) return [failed(ask, "invalid_arguments", args.fault)];
	const begun = attemptsBegun(prior);
	if (begun > 0 && !tool.idempotent) {
		return [
			failed(
				ask,
				"unknown_outcome",
				`"${name}" was begun by a process that died; whether it had its effect is not known`,
				"unknown",
			),
		];
	}
	const started = yield [{ type: "tool.started", data: { tool_call_id, name, attempt: begun + 1 } }];
	if (!started) return [failed(ask, "cancelled", "the request was cancelled before the tool began")];

	const begin = ports.now();
	const took = () => ports.now() - begin;
	const limit = Math.max(1, Math.min(tool.timeout_ms, deadline_at - begin));
	const caller: ToolCaller = { tenant: ask.entry.tenant, principal, roles, side_effect_key };
	const over = new AbortController();
	const stop = () => over.abort(signal.reason);
	signal.addEventListener("abort", stop);
	const timer = setTimeout(() => over.abort("timeout"), limit);
	try {
		// A tool that does not listen to its signal is not waited for.
		const aborted = new Promise<never>((_, reject) => {
			over.signal.addEventListener("abort", () => reject(new Error("aborted")));
		});
		const text = await Promise.race([tool.run(args.value, caller, over.signal), aborted]);
		return [
			{
				type: "tool.completed",
				data: {
					tool_call_id,
					name,
					result: text.slice(0, MAX_RESULT),
					truncated: text.length > MAX_RESULT,
					took_ms: took(),
				},
			},
		];
	} catch (problem) {
		if (isCancelled(signal))
			return [failed(ask, "cancelled", "the request was cancelled while the tool ran", "unknown", took())];
		if (over.signal.aborted)
			return [failed(ask, "timeout", `"${name}" gave no answer within ${limit} ms`, "unknown", took())];
		return [failed(ask, "failed", problem instanceof Error ? problem.message : String(problem), "failed", took())];
	} finally {
		clearTimeout(timer);
		signal.removeEventListener("abort", stop);
	}
}

function parse(tool: Tool, text: string): { value: unknown } | { fault: string } {
	let value: unknown;
	try {
		value = JSON.parse(text === "" ? "{}" : text);
	} catch {
		return {
			fault: `the arguments of "${tool.name}" are expected to be a JSON object, got ${JSON.stringify(text.slice(0, 60))}`,
		};
	}
	const parsed = tool.arguments.safeParse(value);
	return parsed.success ? { value: parsed.data } : { fault: explain(parsed.error, value) };
}

function failed(
	ask: Ask<"tool.requested">,
	code: Failed["code"],
	message: string,
	outcome: Failed["outcome"] = "not_run",
	took_ms = 0,
): EventDraft {
	const { tool_call_id, name } = ask.data;
	return { type: "tool.failed", data: { tool_call_id, name, code, message, outcome, took_ms } };
}
