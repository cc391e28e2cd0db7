import { type Client, connect } from "../../gateway/client.ts";
import type { ClientError, ClientEvent, Stream } from "../../gateway/client-stream.ts";
import { openAnswerView } from "./answer-view.ts";
import { type ChatWriter, openChatWriter } from "./chat-writer.ts";
import { command, failure, PROGRAM } from "./command.ts";
import { onInterrupt } from "./interrupts.ts";
import { questions } from "./questions.ts";
import { checkServer, findServer, serverOptions, wrongKey } from "./server.ts";

/** As the session of requests whose feature keeps none. */
const NO_SESSION = "-";

export const chat = command({
	name: "chat",
	summary: "Talks with the server: asks, shows the answer as it comes and what was done for it.",
	details:
		"Ctrl-C cancels the answer that is coming, a second one leaves; Ctrl-D leaves. A cut connection is resumed.\n" +
		"Without a terminal it reads one question per line; answers go to stdout, all else to stderr, and the exit code is 1\n" +
		"unless every answer was completed.",
	parameters: [],
	options: {
		session: { type: "string", value: "S", description: "go on with this session" },
		feature: { type: "string", value: "F", description: "feature that answers (default: the server's)" },
		new: { type: "boolean", description: "begin a new session for every question: nothing said before counts" },
		...serverOptions,
	},
	example: 'chat --session s_abc   or:   echo "What is an idempotency key?" | npm run -s cli -- chat',
	async run({ session, feature, new: alwaysNew, url, token }) {
		if (session && alwaysNew)
			throw failure("--session and --new exclude each other: one goes on, the other begins anew", 2);
		const server = await findServer({ url, token });
		await checkServer(server);
		const writer = openChatWriter();
		const line = { isAnswering: false, isLost: false };
		const client = connect({
			url: server.url,
			token: server.token,
			onConnection(state) {
				line.isLost = state === "lost";
				if (line.isLost && line.isAnswering) writer.note("connection lost, resuming…");
			},
		});
		let current = session;
		let allCompleted = true;
		try {
			for await (const input of questions(process.stdin)) {
				line.isAnswering = true;
				if (line.isLost) writer.note("no connection, trying again… (Ctrl-C twice leaves)");
				const answered = await answer(
					client,
					{ input, ...(feature && { feature }), ...(current && { session_id: current }) },
					writer,
				);
				line.isAnswering = false;
				if (answered.problem?.code === "unauthorized") throw wrongKey(server);
				allCompleted &&= answered.status === "completed";
				if (answered.left) break;
				if (!alwaysNew && answered.session !== NO_SESSION) current = answered.session ?? current;
			}
		} finally {
			client.close();
		}
		if (process.stdin.isTTY && current) writer.note(`go on with: ${PROGRAM} chat --session ${current}`);
		return allCompleted || process.stdin.isTTY ? 0 : 1;
	},
});

type Answered = { session?: string; status?: string; problem?: ClientError; left?: true };

/** Asks once and shows what comes until the end; Ctrl-C asks for a cancel, and a second one gives up following. */
async function answer(client: Client, body: Parameters<Client["submit"]>[0], writer: ChatWriter): Promise<Answered> {
	const begin = performance.now();
	const view = openAnswerView({ live: process.stdout.isTTY, elapsed: () => performance.now() - begin });
	const stream = client.submit(body);
	const left = Promise.withResolvers<"left">();
	using _ = onInterrupt({
		first: () => {
			writer.note("cancelling… (Ctrl-C again leaves)");
			void cancel(client, stream);
		},
		second: () => left.resolve("left"),
	});
	const showing = showAll(stream, (event) => writer.write(view.take(event)));
	// Whoever leaves does not hear how it ended.
	showing.catch(() => {});
	try {
		if ((await Promise.race([showing, left.promise])) === "left") {
			writer.note("left; a request that was accepted runs on");
			return { left: true };
		}
		const { session_id } = await stream.reply;
		const status = view.status();
		return { ...(session_id && { session: session_id }), ...(status && { status }) };
	} catch (problem) {
		if (!isClientError(problem)) throw problem;
		writer.write([{ kind: "note", tone: "alert", text: `${problem.code}: ${problem.message}` }]);
		return { problem };
	} finally {
		writer.endAnswer();
	}
}

async function showAll(stream: Stream, show: (event: ClientEvent) => void): Promise<void> {
	for await (const event of stream) show(event);
}

/** Of a request that is not accepted yet, as soon as it is. A refusal shows in the stream itself. */
async function cancel(client: Client, stream: Stream): Promise<void> {
	try {
		const { request_id } = await stream.reply;
		if (request_id) await client.cancel(request_id);
	} catch (problem) {
		if (!isClientError(problem)) throw problem;
	}
}

const isClientError = (problem: unknown): problem is ClientError => problem instanceof Error && "code" in problem;
