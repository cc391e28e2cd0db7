import type { z } from "zod";
import type { EventKind, EventOf } from "../event.ts";
import * as inference from "./inference.ts";
import * as output from "./output.ts";
import * as request from "./request.ts";
import * as retrieval from "./retrieval.ts";
import * as session from "./session.ts";
import * as tool from "./tool.ts";

const declared = { ...request, ...session, ...retrieval, ...inference, ...output, ...tool };
type Kind = Extract<(typeof declared)[keyof typeof declared], EventKind>;

/** Every event of the log; add a kind in its file and the compiler names each place that has to decide. */
export type AnyEvent = { [K in Kind as K["type"]]: EventOf<K["type"], K["data"]> }[Kind["type"]];
export type EventType = AnyEvent["type"];
export type DataOf<Type extends EventType> = z.infer<Extract<Kind, { type: Type }>["data"]>;

/** An event before the log has given it its number. */
export type EventDraft = { [T in EventType]: { type: T; data: DataOf<T> } }[EventType];

const isKind = (value: unknown): value is Kind =>
	typeof value === "object" && value !== null && "client" in value && "data" in value;

/** Declarations by type. */
export const kinds: ReadonlyMap<string, Kind> = new Map(
	Object.values(declared)
		.filter(isKind)
		.map((kind) => [kind.type, kind]),
);
