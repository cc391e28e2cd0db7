import { z } from "zod";
import type { ToolDeclaration } from "../../schemas/feature.ts";

/** On whose behalf a tool runs. Everything that it reaches is inside this tenant. */
export type ToolCaller = { tenant: string; principal: string; roles: readonly string[]; side_effect_key: string };

/** A tool, declared once: what the model sees, who may use it, how long it may take, what it does. */
export type Tool<Arguments extends z.ZodType = z.ZodType> = Pick<
	ToolDeclaration,
	"name" | "description" | "roles" | "features"
> & {
	arguments: Arguments;
	timeout_ms: number;
	/** Running it twice with one side-effect key does what running it once does; only such a tool is taken over (§8). */
	idempotent: boolean;
	/** Text for the model: untrusted, bounded by the actor. Throws when it cannot do what was asked. */
	run(args: z.infer<Arguments>, caller: ToolCaller, signal: AbortSignal): Promise<string>;
};

/** Keeps the arguments' type while a tool is declared; afterwards a tool is one of many. */
export const tool = <Arguments extends z.ZodType>(declared: Tool<Arguments>): Tool => ({
	...declared,
	run: (args, caller, signal) => declared.run(declared.arguments.parse(args), caller, signal),
});

/** What orchestration knows of a tool. */
export const declarationOf = ({ name, description, roles, features, arguments: schema }: Tool): ToolDeclaration => ({
	name,
	description,
	roles,
	features,
	parameters: z.toJSONSchema(schema),
});
