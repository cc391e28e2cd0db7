import { readFile } from "node:fs/promises";
import { readConfig } from "../../schemas/config.ts";
import { keyFile } from "../welcome.ts";
import { failure, type OptionDeclarations, PROGRAM } from "./command.ts";

/** For every command that speaks to a gateway. */
export const serverOptions = {
	url: { type: "string", value: "URL", description: "server (default http://THROUGHLINE_HOST:THROUGHLINE_PORT)" },
	token: {
		type: "string",
		value: "KEY",
		description: "key (default THROUGHLINE_TOKEN, else demo.key in the data folder)",
	},
} as const satisfies OptionDeclarations;

export type Server = {
	/** Without a slash at the end. */
	url: string;
	token: string;
	/** Where the token came from, for messages. */
	origin: string;
};

/** Which server is meant, and with which key. Nothing is asked yet. */
export async function findServer(options: { url: string | undefined; token: string | undefined }): Promise<Server> {
	const url = checkedUrl(options.url ?? standardUrl());
	if (options.token) return { url, token: options.token, origin: "--token" };
	const fromEnvironment = process.env.THROUGHLINE_TOKEN;
	if (fromEnvironment) return { url, token: fromEnvironment, origin: "THROUGHLINE_TOKEN" };
	const file = keyFile(readConfig(process.env).data);
	const token = (await readFile(file, "utf8").catch(() => "")).trim();
	if (token) return { url, token, origin: file };
	throw failure(
		`A key is expected and none is there: neither --token nor THROUGHLINE_TOKEN is given, and ${file} is missing.\n` +
			`The first "npm start" writes that file (THROUGHLINE_DATA names its folder). Another key: ${PROGRAM} keys create --tenant demo`,
	);
}

function standardUrl(): string {
	const { host, port } = readConfig(process.env);
	// What listens on every address is reached at this machine's own.
	const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
	return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

function checkedUrl(text: string): string {
	const url = URL.parse(text);
	if (!url || !/^https?:$/.test(url.protocol))
		throw failure(`--url is expected to be like http://127.0.0.1:8787, got "${text}"`);
	return url.href.replace(/\/$/, "");
}

/** Nobody answers there. */
export const noServer = ({ url }: Pick<Server, "url">, reason: string) =>
	failure(
		`No server answers at ${url} (${reason}).\nStart it with "npm start", or say where it is: --url, or THROUGHLINE_HOST and THROUGHLINE_PORT.`,
	);

export const wrongKey = ({ url, origin }: Pick<Server, "url" | "origin">) =>
	failure(
		`The server at ${url} does not know the key from ${origin}: it is mistyped, revoked, or of another data folder.\n` +
			`Make one: ${PROGRAM} keys create --tenant demo (with the THROUGHLINE_DATA of that server)`,
	);

/** One call with the key. Rejects with what to do when nobody answers or the key is unknown; other refusals are answers. */
export async function call(server: Server, method: string, path: string, init: RequestInit = {}): Promise<Response> {
	const headers = { authorization: `Bearer ${server.token}`, ...init.headers };
	const response = await fetch(`${server.url}${path}`, { ...init, method, headers }).catch((problem: unknown) => {
		throw noServer(server, reasonOf(problem));
	});
	if (response.status === 401) throw wrongKey(server);
	return response;
}

/** `fetch` says "fetch failed" and hides why. */
export function reasonOf(problem: unknown): string {
	if (!(problem instanceof Error)) return String(problem);
	const { cause } = problem;
	if (cause instanceof Error) return "code" in cause ? String(cause.code) : cause.message;
	return problem.message;
}

/** What a refusal says: `code: detail` of its problem body. */
export async function refusalOf(response: Response): Promise<string> {
	const text = await response.text();
	try {
		const { code, detail }: { code?: string; detail?: string } = JSON.parse(text);
		return `${code ?? response.status}: ${detail ?? response.statusText}`;
	} catch {
		return `${response.status} ${response.statusText}`;
	}
}

/** Asks for something small, so that a wrong address or key shows before anything is typed. */
export async function checkServer(server: Server): Promise<void> {
	const response = await call(server, "GET", "/v1/documents?limit=1");
	if (!response.ok) throw failure(`${server.url} answers ${await refusalOf(response)}`);
	await response.arrayBuffer();
}
