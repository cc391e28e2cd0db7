import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { configFolder } from "../paths.ts";
import { type App, startApp } from "../testing/app.ts";
import { call, type RawAnswer } from "../testing/raw-client.ts";
import { type ScriptedProvider, startScriptedProvider } from "../testing/scripted-provider.ts";
import { ask, endOf, faultsOf, type Transcript, textOf } from "../testing/transcript.ts";

let provider: ScriptedProvider;
let app: App;
let config: string;
/** Takes ten deliveries, 20 s: begun first, looked at last. */
let ruinedDocument: Promise<RawAnswer>;
let pids: number[];
const tokens: Record<string, string> = {};
const pidsNow = () => Promise.all((["gateway", "actors-1", "actors-2", "nats"] as const).map((name) => app.pid(name)));

/** Features beside `assistant`, which answers without documents too: made of it by a change of its text. */
const variants: Record<string, (text: string) => string> = {
	/** Answers from documents and with its tools, or not at all. */
	strict: (text) =>
		text
			.replace("grounded: { evidence: optional", "grounded: { evidence: required")
			.replace("required: false }] }", "required: true }] }"),
	/** Answers from documents that were taken in within the last 4 ms. */
	fresh: (text) =>
		text.replace("grounded: { evidence: optional", "grounded: { max_age_hours: 0.000001, evidence: required"),
};

async function addFeature(name: string, change: (text: string) => string): Promise<void> {
	const folder = join(config, "features", name);
	await cp(join(config, "features/assistant"), folder, { recursive: true });
	const path = join(folder, "feature.yaml");
	const text = await readFile(path, "utf8");
	const changed = change(text);
	expect(changed).not.toBe(text);
	await writeFile(path, changed.replace("name: assistant", `name: ${name}`));
}

/** Tenants whose search cannot work, each for another reason; `sound` has documents, `empty` has none. */
const ruins: Record<string, (file: string) => Promise<void>> = {
	folder: async (file) => void (await mkdir(file)),
	corrupt: (file) => writeFile(file, Buffer.alloc(64 * 1024, "no database ")),
};

beforeAll(async () => {
	config = await mkdtemp(join(tmpdir(), "throughline-config-"));
	await cp(configFolder, config, { recursive: true });
	for (const [name, change] of Object.entries(variants)) await addFeature(name, change);
	provider = await startScriptedProvider();
	app = await startApp({
		OPENAI_BASE_URL: `${provider.url}/v1`,
		OPENAI_API_KEY: "test",
		THROUGHLINE_CONFIG: config,
	});
	for (const tenant of ["sound", "empty", ...Object.keys(ruins)]) tokens[tenant] = await app.key(tenant);
	await mkdir(join(app.data, "search"), { recursive: true });
	for (const [tenant, ruin] of Object.entries(ruins)) await ruin(join(app.data, "search", `${tenant}.db`));
	ruinedDocument = document("corrupt");
	await document("sound");
	pids = await pidsNow();
});
afterAll(async () => {
	await app[Symbol.asyncDispose]();
	await provider[Symbol.asyncDispose]();
	await rm(config, { recursive: true, force: true });
});
afterEach(() => provider.reset());

const tokenOf = (tenant: string) => tokens[tenant] ?? "";
const document = (tenant: string) =>
	call(app.url, tokenOf(tenant), "/v1/documents", {
		body: {
			name: "refunds.md",
			media_type: "text/markdown",
			text: "# Refunds\n\nA refund is paid within 14 days of the return of the goods.",
		},
	});
const QUESTION = "How many days until a refund is paid?";
const asked = (tenant: string, feature: string, input = QUESTION) => ask(app.url, tokenOf(tenant), { feature, input });
const only = (events: Transcript, type: string) => events.filter((event) => event.type === type);

/** What a client is told of the way that its request went. */
function told(events: Transcript) {
	expect(faultsOf(events)).toEqual([]);
	const { status, finish_reason } = endOf(events);
	return {
		end: `${status} (${finish_reason})`,
		text: textOf(events),
		degradations: only(events, "degradation.applied").map(
			({ mode, from, to, user_notice }) => `${mode}: ${from} → ${to}: ${user_notice}`,
		),
		errors: only(events, "request.error").map(
			({ code, retryable, message }) => `${code}${retryable ? " (retryable)" : ""}: ${message}`,
		),
	};
}

/** Nothing of this machine stands in what a client reads. */
const expectNoPaths = (events: Transcript) => {
	const text = JSON.stringify(events);
	expect(text).not.toContain(app.data);
	expect(text).not.toMatch(/\.db\b|\.ts\b|node_modules/);
};

describe("the primary model fails", () => {
	test("[§4] the next of the chain answers, and the client is told", async () => {
		await provider.script({
			default: { text: "Within 14 days [1]." },
			queue: [{ model: "gpt-4.1-mini", fault: { kind: "status", status: 500 }, times: 99 }],
		});
		const events = await asked("sound", "assistant");
		expect(told(events)).toMatchInlineSnapshot(`
			{
			  "degradations": [
			    "model: openai/gpt-4.1-mini → openai/gpt-4.1-nano: The usual model does not answer; another one is tried.",
			  ],
			  "end": "completed (stop)",
			  "errors": [],
			  "text": "Within 14 days [1].",
			}
		`);
		const bill = await provider.bill({ settled: true });
		const models = bill.map(({ model }) => model);
		expect(models.at(-1)).toBe("gpt-4.1-nano");
		expect(models.filter((model) => model === "gpt-4.1-nano")).toHaveLength(1);
		// The refused calls stand on no bill and are not estimated.
		expect(only(events, "usage.completed")).toMatchObject([
			{ input_tokens: bill.at(-1)?.prompt_tokens, output_tokens: bill.at(-1)?.output_tokens_sent, estimated: false },
		]);
	});

	test("[O17] the whole provider is gone: the request fails in plain words, and works again when it is back", async () => {
		const port = Number(new URL(provider.url).port);
		await provider.kill9();
		const events = await asked("sound", "assistant");
		const said = told(events);
		provider = await startScriptedProvider({ port });
		expect(said).toMatchInlineSnapshot(`
			{
			  "degradations": [
			    "model: openai/gpt-4.1-mini → openai/gpt-4.1-nano: The usual model does not answer; another one is tried.",
			  ],
			  "end": "failed (error)",
			  "errors": [
			    "provider_failed (retryable): openai: no connection (ECONNREFUSED); check the base URL and the network",
			  ],
			  "text": "No model gave an answer: openai: no connection (ECONNREFUSED); check the base URL and the network.",
			}
		`);
		expect(only(events, "usage.completed")).toMatchObject([
			{ input_tokens: 0, output_tokens: 0, cost_micros: 0, estimated: false, partial: true },
		]);
		expect(only(events, "citation.added")).toEqual([]);
		expectNoPaths(events);
		expect(told(await asked("sound", "assistant"))).toMatchObject({ end: "completed (stop)", errors: [] });
	});
});

describe("retrieval fails", () => {
	for (const tenant of Object.keys(ruins)) {
		test(`[O8] evidence is optional, and the search is down (${tenant}): an answer with a notice`, async () => {
			await provider.script({ default: { text: "I cannot look that up." } });
			const events = await asked(tenant, "assistant");
			expect(told(events)).toEqual({
				end: "completed (stop)",
				text: "I cannot look that up.",
				degradations: [
					"retrieval: documents → an answer without them: No document passage backs this answer; treat it with care.",
				],
				errors: [],
			});
			expect(only(events, "citation.added")).toEqual([]);
		});

		test(`[O7] evidence is required, and the search is down (${tenant}): a plain explanation and no model call`, async () => {
			const events = await asked(tenant, "strict");
			const notice =
				"The documents can't be searched at the moment, so I can't answer this reliably. Please try again in a little while.";
			expect(told(events)).toEqual({
				end: "incomplete (degraded)",
				text: notice,
				degradations: [`retrieval: documents → no answer: ${notice}`],
				errors: [expect.stringMatching(/^evidence_unavailable \(retryable\): /)],
			});
			expectNoPaths(events);
			expect(await provider.bill()).toEqual([]);
		});
	}

	test("[O7] evidence is required and there is none: a plain explanation and no model call", async () => {
		expect(told(await asked("empty", "strict"))).toMatchInlineSnapshot(`
			{
			  "degradations": [
			    "retrieval: documents → no answer: I found nothing in the documents that answers this, so I give no answer rather than a guess.",
			  ],
			  "end": "incomplete (degraded)",
			  "errors": [
			    "evidence_missing: no passage scores high enough to answer from",
			  ],
			  "text": "I found nothing in the documents that answers this, so I give no answer rather than a guess.",
			}
		`);
		const nothing = "What is the boiling point of tungsten hexafluoride?";
		expect(told(await asked("sound", "strict", nothing))).toEqual(told(await asked("empty", "strict", nothing)));
		expect(await provider.bill()).toEqual([]);
	});

	test("[O9] evidence that is too old counts as missing", async () => {
		expect(told(await asked("sound", "fresh"))).toMatchInlineSnapshot(`
			{
			  "degradations": [
			    "retrieval: documents → no answer: I found nothing in the documents that answers this, so I give no answer rather than a guess.",
			  ],
			  "end": "incomplete (degraded)",
			  "errors": [
			    "evidence_missing: every passage found is older than the route allows",
			  ],
			  "text": "I found nothing in the documents that answers this, so I give no answer rather than a guess.",
			}
		`);
		expect(await provider.bill()).toEqual([]);
	});

	test("required evidence that is there is answered from", async () => {
		await provider.script({ default: { text: "A refund is paid within 14 days [1]." } });
		const events = await asked("sound", "strict");
		expect(told(events)).toMatchObject({ end: "completed (stop)", degradations: [], errors: [] });
		expect(only(events, "citation.added")).toMatchObject([{ verified: true }]);
	});
});

describe("a tool fails", () => {
	const TASK = "Research how many days a refund takes.";
	const plan = {
		default: { text: "I could not search." },
		queue: [{ tool_calls: [{ name: "search_documents", arguments: '{"query":"days until refund"}' }] }],
	};

	test("[O13] an optional one: a partial answer with a notice", async () => {
		await provider.script(plan);
		const events = await asked("corrupt", "assistant", TASK);
		expect(told(events)).toMatchInlineSnapshot(`
			{
			  "degradations": [
			    "retrieval: documents → an answer without them: No document passage backs this answer; treat it with care.",
			    "tool: search_documents → an answer without it: A tool that this needs did not work, so the answer may be incomplete.",
			  ],
			  "end": "completed (stop)",
			  "errors": [],
			  "text": "I could not search.",
			}
		`);
		expect(only(events, "tool.failed")).toHaveLength(1);
	});

	test("[O13] a required one: the request ends incomplete, with words", async () => {
		await provider.script(plan);
		const events = await asked("corrupt", "strict", TASK);
		expect(told(events)).toMatchInlineSnapshot(`
			{
			  "degradations": [
			    "retrieval: documents → an answer without them: No document passage backs this answer; treat it with care.",
			    "tool: search_documents → no answer: A tool that this needs did not work, so the answer may be incomplete.",
			  ],
			  "end": "incomplete (degraded)",
			  "errors": [
			    "tool_failed (retryable): search_documents: file is not a database",
			  ],
			  "text": "A tool that this needs did not work, so the answer may be incomplete.",
			}
		`);
		expectNoPaths(events);
		expect(await provider.bill({ settled: true })).toHaveLength(1);
	});
});

test("[O21] a document for a search that is down is said not to be taken in, and may be sent again", async () => {
	const answer = await ruinedDocument;
	expect(answer.status).toBe(200);
	expect(JSON.parse(answer.text)).toMatchObject({
		status: "failed",
		output_text: expect.stringMatching(/^The search engine can't be reached, so the document was not taken in/),
		error: { code: "evidence_unavailable", retryable: true },
	});
	expect(answer.text).not.toContain(app.data);
});

test("none of it brought a process down", async () => {
	expect(app.log()).not.toContain("a process died");
	expect(await pidsNow()).toEqual(pids);
});
