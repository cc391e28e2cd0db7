import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { documentId } from "../../gateway/doors/documents.ts";
import type { DataOf } from "../../schemas/events/all.ts";
import { newSessionId, randomRequestId } from "../../subjects/subjects.ts";
import { type App, startApp } from "../testing/app.ts";
import { call, openRawSocket, type RawAnswer, type RawCall } from "../testing/raw-client.ts";
import { type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { ask, endOf, type Transcript } from "../testing/transcript.ts";

/** Two tenants whose documents and people have the same names, and one more person in the first. */
const callers = {
	owner: { tenant: "acme", principal: "alice" },
	colleague: { tenant: "acme", principal: "bob" },
	stranger: { tenant: "globex", principal: "alice" },
};
type CallerName = keyof typeof callers;
const others = ["colleague", "stranger"] as const;

const TEXTS = {
	acme: "# Vault\n\nThe vault of the company opens with the words MAGNOLIA-4471. Only the night porter keeps them.",
	globex: "# Vault\n\nThe vault of the company opens with the words TULIP-9902. Only the cleaning crew keeps them.",
};
const ONLY_GLOBEX =
	"# Greenhouse\n\nOrchids named ORCHID-5150 are watered on Thursdays by the gardener of the greenhouse.";
const SECRETS = ["MAGNOLIA", "porter", "TULIP", "cleaning", "ORCHID", "gardener"];

let provider: ScriptedProvider;
let app: App;
const tokens = {} as Record<CallerName, string>;

const as = (caller: CallerName, path: string, what?: RawCall) => call(app.url, tokens[caller], path, what);
const addDocument = (caller: CallerName, name: string, text: string) =>
	as(caller, "/v1/documents", { body: { name, media_type: "text/markdown", text } });
const asked = (caller: CallerName, input: string, also: { session_id?: string; idempotency_key?: string } = {}) =>
	ask(app.url, tokens[caller], { input, ...also });
const sessionOf = (events: Transcript) => String(events[0]?.session_id);

beforeAll(async () => {
	provider = await startScriptedProvider();
	app = await startApp({ OPENAI_BASE_URL: `${provider.url}/v1`, OPENAI_API_KEY: "test" });
	for (const name of ["owner", "colleague", "stranger"] as const) {
		tokens[name] = await app.key(callers[name].tenant, callers[name].principal);
	}
	await addDocument("owner", "handbook.md", TEXTS.acme);
	await addDocument("stranger", "handbook.md", TEXTS.globex);
	await addDocument("stranger", "greenhouse.md", ONLY_GLOBEX);
});
afterAll(async () => {
	await app[Symbol.asyncDispose]();
	await provider[Symbol.asyncDispose]();
});
afterEach(() => provider.reset());

async function retrieved(tenant: string, events: Transcript): Promise<DataOf<"retrieval.completed">> {
	const entries = await app.entries(tenant, endOf(events).request_id);
	const found = entries.flatMap((entry) => entry.events).find((event) => event.type === "retrieval.completed");
	if (found?.type !== "retrieval.completed") throw new Error("a retrieval.completed is expected in the log");
	return found.data;
}
const evidenceOf = async (tenant: string, events: Transcript) => (await retrieved(tenant, events)).documents;

describe("documents", () => {
	test("both tenants find their own text under the same name, by words and by meaning", async () => {
		for (const [caller, mine, theirs] of [
			["owner", "MAGNOLIA-4471", "TULIP"],
			["stranger", "TULIP-9902", "MAGNOLIA"],
		] as const) {
			await provider.script({ default: { text: `The vault opens with the words ${mine} [1].` } });
			const events = await asked(caller, "Which words open the vault of the company?");
			const found = await evidenceOf(callers[caller].tenant, events);
			expect(found[0]?.text).toContain(mine);
			expect(Object.keys(found[0]?.ranks ?? {})).toEqual(expect.arrayContaining(["lexical", "vector"]));
			expect(JSON.stringify(await app.entries(callers[caller].tenant, endOf(events).request_id))).not.toContain(theirs);
			const cited = events.filter(({ type }) => type === "citation.added");
			expect(cited).toMatchObject([{ n: 1, verified: true, document_id: documentId("handbook.md") }]);
		}
	});

	test("a model that claims the other tenant's words finds no passage that backs them", async () => {
		await provider.script({ default: { text: "Orchids are watered on Thursdays by the gardener [1]." } });
		const events = await asked("owner", "Which words open the vault of the company?");
		expect(events.filter(({ type }) => type === "citation.added")).toMatchObject([{ n: 1, verified: false }]);
	});

	for (const [name, question] of Object.entries({
		"in its own words": "ORCHID-5150 orchids watered Thursdays gardener greenhouse",
		"by its meaning": "When do the flowers in the glasshouse get their water?",
	})) {
		test(`[§8] asking for what only the other tenant has, ${name}, finds nothing of it`, async () => {
			const candidates = async (caller: CallerName) => {
				const { documents, dropped } = await retrieved(callers[caller].tenant, await asked(caller, question));
				return [...documents, ...dropped].map(({ chunk_id }) => chunk_id);
			};
			const greenhouse = expect.stringContaining(documentId("greenhouse.md"));
			expect(await candidates("stranger")).toContainEqual(greenhouse);
			// The nearest of what it has may be named, and that is its own.
			for (const id of await candidates("owner")) expect(id).toContain(documentId("handbook.md"));
		});
	}

	test("[§8] a model that searches as a tool finds nothing of the other tenant either", async () => {
		await provider.script({
			default: { text: "Nothing found." },
			queue: [{ tool_calls: [{ name: "search_documents", arguments: '{"query":"orchids watered gardener"}' }] }],
		});
		const events = await asked("owner", "Research who waters the plants.");
		const entries = await app.entries("acme", endOf(events).request_id);
		const results = entries.flatMap((entry) => entry.events).filter(({ type }) => type === "tool.completed");
		expect(results).toHaveLength(1);
		expect(JSON.stringify(results)).not.toMatch(/Orchids|greenhouse/);
	});

	test("a list holds the caller's own documents, wherever its cursor comes from", async () => {
		const mine = JSON.parse((await as("owner", "/v1/documents")).text);
		expect(mine.documents.map(({ name }: { name: string }) => name)).toEqual(["handbook.md"]);
		const theirs = JSON.parse((await as("stranger", "/v1/documents")).text);
		expect(theirs.documents).toHaveLength(2);
		const from = await as("owner", `/v1/documents?after=${documentId("greenhouse.md")}`);
		expect(from.text).not.toContain("greenhouse");
	});

	test("[G4] deleting the other tenant's document is deleting an unknown one, and it is still there", async () => {
		const foreign = documentId("greenhouse.md");
		const unknown = documentId("no such document");
		const remove = (id: string) => as("owner", `/v1/documents/${id}`, { method: "DELETE" });
		expect(masked(await remove(foreign), foreign)).toEqual(masked(await remove(unknown), unknown));
		expect(await remove(foreign)).toMatchObject({ status: 404 });
		const events = await asked("stranger", "Who waters the orchids in the greenhouse?");
		expect((await evidenceOf("globex", events))[0]?.text).toContain("ORCHID-5150");
	});

	test("deleting a document leaves the other tenant's of the same id", async () => {
		const id = documentId("handbook.md");
		expect((await as("stranger", `/v1/documents/${id}`, { method: "DELETE" })).status).toBe(204);
		const gone = await evidenceOf("globex", await asked("stranger", "Which words open the vault?"));
		expect(JSON.stringify(gone)).not.toContain("TULIP");
		const kept = await evidenceOf("acme", await asked("owner", "Which words open the vault?"));
		expect(kept[0]?.text).toContain("MAGNOLIA-4471");
	});
});

/** What a caller could tell two answers apart by; the ids that it sent itself do not count. */
function masked({ status, headers, text }: RawAnswer, id: string) {
	const { date: _, ...rest } = headers;
	return { status, headers: rest, text: text.replaceAll(id, "ID") };
}

/** Every way to name a request over HTTP. */
const byId: Record<string, (id: string) => [path: string, what?: RawCall]> = {
	"GET the request": (id) => [`/v1/requests/${id}`],
	"GET its events": (id) => [`/v1/requests/${id}/events`],
	"GET its events after a cursor": (id) => [`/v1/requests/${id}/events?after=1`],
	"GET its events by Last-Event-ID": (id) => [`/v1/requests/${id}/events`, { headers: { "last-event-id": `${id}:1` } }],
	"GET its events beyond the end": (id) => [`/v1/requests/${id}/events?after=99999`],
	"cancel it": (id) => [`/v1/requests/${id}/cancel`, { method: "POST" }],
	"give feedback on it": (id) => [`/v1/requests/${id}/feedback`, { body: { score: 1, comment: "mine" } }],
};

/** Every frame that names a request. */
const framesById: Record<string, (id: string) => object> = {
	resume: (request_id) => ({ type: "resume", request_id, after: 0 }),
	"resume from a cursor": (request_id) => ({ type: "resume", request_id, after: 2 }),
	"resume beyond the end": (request_id) => ({ type: "resume", request_id, after: 99_999 }),
	"resume with a snapshot": (request_id) => ({ type: "resume", request_id, after: 0, snapshot: true }),
	cancel: (request_id) => ({ type: "cancel", request_id }),
	feedback: (request_id) => ({ type: "feedback", request_id, score: 1 }),
};

async function answerTo(caller: CallerName, frame: object, id: string): Promise<string[]> {
	using socket = await openRawSocket(app.url, tokens[caller]);
	socket.send({ ...frame, id: "q" });
	await socket.next((answer) => answer.id === "q");
	// What an answer would be followed by comes before the answer to the next frame.
	socket.send({ type: "ping" });
	await socket.next((answer) => answer.type === "pong");
	return socket.frames.slice(1).map((text) => text.replaceAll(id, "ID"));
}

describe("ids", () => {
	let ended: string;
	let running: string;
	let owned: Promise<Transcript>;

	beforeAll(async () => {
		ended = endOf(await asked("owner", "What do you know of the vault? MARKER-ended")).request_id;
		await provider.script({ default: { tokens: 400, every_ms: 50 } });
		const begun = Promise.withResolvers<string>();
		owned = ask(app.url, tokens.owner, { input: "Tell me a long story. MARKER-running" }, (event) => {
			if (event.type === "output_text.delta") begun.resolve(event.request_id);
		});
		running = await begun.promise;
	});

	for (const other of others) {
		for (const [name, request] of Object.entries(byId)) {
			test(`[G4] ${other} over HTTP: ${name}`, async () => {
				const unknown = randomRequestId();
				const expected = masked(await as(other, ...request(unknown)), unknown);
				expect(expected.status).toBe(404);
				for (const id of [ended, running]) expect(masked(await as(other, ...request(id)), id)).toEqual(expected);
			});
		}
		for (const [name, frame] of Object.entries(framesById)) {
			test(`[G4] ${other} over WebSocket: ${name}`, async () => {
				const unknown = randomRequestId();
				const expected = await answerTo(other, frame(unknown), unknown);
				expect(expected).toEqual([expect.stringMatching(/not_found|"gone".*"unknown"/), '{"type":"pong"}']);
				for (const id of [ended, running]) expect(await answerTo(other, frame(id), id)).toEqual(expected);
			});
		}

		test(`[G4] ${other} can neither watch the session nor submit to it, over any door`, async () => {
			const unknown = newSessionId(randomRequestId());
			for (const frame of [
				(session_id: string) => ({ type: "watch", session_id }),
				(session_id: string) => ({ type: "submit", session_id, input: "hello" }),
			]) {
				const expected = await answerTo(other, frame(unknown), unknown);
				expect(expected).toEqual([expect.stringContaining('"not_found"'), '{"type":"pong"}']);
				for (const id of [ended, running]) {
					const session = newSessionId(id);
					expect(await answerTo(other, frame(session), session)).toEqual(expected);
				}
			}
			const post = (session_id: string) => as(other, "/v1/requests", { body: { session_id, input: "hello" } });
			const expected = masked(await post(unknown), unknown);
			expect(expected.status).toBe(404);
			for (const id of [ended, running]) {
				const session = newSessionId(id);
				expect(masked(await post(session), session)).toEqual(expected);
			}
		});
	}

	test("a watcher of its own session gets frames of that session alone", async () => {
		using socket = await openRawSocket(app.url, tokens.colleague);
		await provider.script({ default: { text: "Quick." } });
		const session_id = sessionOf(await asked("colleague", "hello"));
		socket.send({ type: "watch", id: "w", session_id });
		await socket.next(({ id }) => id === "w");
		await asked("owner", "hello");
		await asked("stranger", "hello");
		const mine = endOf(await asked("colleague", "hello", { session_id })).request_id;
		await socket.next(({ type }) => type === "message.completed");
		const seen = socket.frames.map((text) => JSON.parse(text)).filter(({ seq }) => seq !== undefined);
		expect(new Set(seen.map(({ request_id }) => request_id))).toEqual(new Set([mine]));
	});

	test("[G1] what the others tried has not touched the request: its owner reads on and cancels it", async () => {
		expect(JSON.parse((await as("owner", `/v1/requests/${running}`)).text)).toMatchObject({ status: "running" });
		expect((await as("owner", `/v1/requests/${running}/cancel`, { method: "POST" })).status).toBe(200);
		const events = await owned;
		expect(endOf(events)).toMatchObject({ status: "cancelled" });
		expect((await app.entries("acme", running)).flatMap((entry) => entry.events)).toContainEqual(
			expect.objectContaining({ type: "cancel.requested", data: { by: "alice" } }),
		);
	});
});

test("[L4] the idempotency key 1 of three callers is three requests, and each retry finds its own", async () => {
	const names = Object.keys(callers) as CallerName[];
	const submit = (caller: CallerName) => asked(caller, `hello, ${caller} here`, { idempotency_key: "1" });
	const first = await Promise.all(names.map(submit));
	expect(new Set(first.map((events) => endOf(events).request_id)).size).toBe(3);
	expect(await provider.bill({ settled: true })).toHaveLength(3);
	expect(await Promise.all(names.map(submit))).toEqual(first);
	for (const [at, caller] of names.entries()) {
		const again = await as(caller, "/v1/requests", {
			headers: { "idempotency-key": "1" },
			body: { input: `hello, ${caller} here` },
		});
		expect(again.headers["idempotency-replayed"]).toBe("true");
		expect(JSON.parse(again.text)).toMatchObject({ request_id: endOf(first[at] ?? []).request_id });
	}
	expect(await provider.bill({ settled: true })).toHaveLength(3);
});

test("[§9] logs and metrics hold neither questions nor documents nor keys, and metrics no names of tenants", async () => {
	const metrics = await call(app.url, undefined, "/metrics");
	for (const secret of [...SECRETS, "MARKER", "greenhouse", ...Object.values(tokens)]) {
		expect(app.log()).not.toContain(secret);
		expect(metrics.text).not.toContain(secret);
	}
	for (const { tenant, principal } of Object.values(callers)) {
		expect(metrics.text).not.toContain(tenant);
		expect(metrics.text).not.toContain(principal);
	}
});
