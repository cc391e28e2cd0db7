import { z } from "zod";
import { event } from "../event.ts";
import { open, personal } from "../privacy.ts";

const call = { tool_call_id: open(z.string()), name: open(z.string()) };

export const toolRequested = event(
	"tool.requested",
	z.strictObject({
		...call,
		/** The model's own text; parsed and validated before anything runs. */
		arguments: personal(z.string()),
		principal: personal(z.string()),
		roles: open(z.array(z.string())),
		feature: open(z.string()),
		required: open(z.boolean()),
		/** The same over retries and takeovers. */
		side_effect_key: open(z.string()),
		/** Milliseconds since the epoch. */
		deadline_at: open(z.int()),
	}),
);

export const toolStarted = event(
	"tool.started",
	z.strictObject({ ...call, attempt: open(z.int().positive()) }),
	({ tool_call_id, name }) => ({ tool_call_id, name }),
);

export const toolCompleted = event(
	"tool.completed",
	z.strictObject({ ...call, result: personal(z.string()), truncated: open(z.boolean()), took_ms: open(z.number()) }),
	({ tool_call_id, name, took_ms }) => ({ tool_call_id, name, status: "ok", took_ms }),
);

export const toolFailed = event(
	"tool.failed",
	z.strictObject({
		...call,
		code: open(
			z.enum(["unknown_tool", "forbidden", "invalid_arguments", "timeout", "failed", "unknown_outcome", "cancelled"]),
		),
		/** For the model; may quote its arguments. */
		message: personal(z.string()),
		/** Whether the effect can have happened: `not_run` never began, `unknown` began and nobody saw its end. */
		outcome: open(z.enum(["not_run", "failed", "unknown"])),
		took_ms: open(z.number()),
	}),
	({ tool_call_id, name, code, took_ms }) => ({ tool_call_id, name, status: code, took_ms }),
);
