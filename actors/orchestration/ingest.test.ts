import { expect, test } from "vitest";
import type { DataOf } from "../../schemas/events/all.ts";
import { bundleOf } from "./testing/bundle.ts";
import { given, heard, type Telling, together } from "./testing/given.ts";
import { accepted, asks, cancelled, loaded, searchFailed } from "./testing/tellings.ts";

const bundle = bundleOf();
const file = (id: string) => ({
	document_id: id,
	name: `${id}.md`,
	media_type: "text/markdown",
	sha256: "ff",
	bytes: 9,
});
const readIn = loaded({
	accepted: { ...accepted("read in these"), documents: ["a", "b"].map((id) => ({ type: "document", ...file(id) })) },
});
type Row = DataOf<"ingest.completed">["documents"][number];
const indexed = (id: string): Row => ({ document_id: id, name: `${id}.md`, chunks: 2, version: 1, outcome: "indexed" });
const failed = (id: string): Row => ({ ...indexed(id), chunks: 0, outcome: "failed", problem: "it is not text" });
const ingested = (...documents: Row[]): Telling =>
	heard("retrieval", { type: "ingest.completed", data: { documents, took_ms: 5 } });

test("[O21] documents go to retrieval", () => {
	given(bundle, readIn).decides({
		audience: "retrieval",
		final: false,
		events: [
			{ type: "message.started" },
			{ type: "route.decided", data: { route: "ingest" } },
			{ type: "state.entered", data: { from: "accepted", to: "retrieving" } },
			{ type: "ingest.requested", data: { documents: [file("a"), file("b")] } },
		],
	});
});

test.each([
	["all indexed", "completed", ingested(indexed("a"), indexed("b"))],
	["one failed", "incomplete", ingested(indexed("a"), failed("b"))],
	["all failed", "failed", ingested(failed("a"), failed("b"))],
	["retrieval gave up", "failed", searchFailed],
])("[O21] %s ends %s, and no model is asked", (_, status, telling) => {
	const end = given(bundle, readIn, telling);
	expect(end.says("message.completed").status).toBe(status);
	expect(end.says("state.entered")).toEqual({ from: "retrieving", to: "ended" });
});

test("[O21] each document's outcome is told", () => {
	expect(given(bundle, readIn, ingested(indexed("a"), failed("b"))).says("output_text.done").text).toBe(
		"a.md: indexed, 2 passages\nb.md could not be read: it is not text",
	);
});

test("[O21] without documents there is nothing to read in", () => {
	const end = given(bundle, asks("read in these"));
	expect(end.says("request.error")).toMatchObject({ code: "ingest_failed" });
	expect(end.says("message.completed").status).toBe("failed");
});

test("[O14] [O16] a stop ends an ingestion in flight, and is nothing to a finished one", () => {
	expect(given(bundle, readIn, cancelled).says("message.completed").status).toBe("cancelled");
	const done = given(bundle, readIn, together(cancelled, ingested(indexed("a"), indexed("b"))));
	expect(done.says("message.completed").status).toBe("completed");
	expect(given(bundle, readIn, together(searchFailed, cancelled)).says("message.completed").status).toBe("cancelled");
});
