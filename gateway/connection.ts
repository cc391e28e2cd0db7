import { lastSeq } from "../schemas/entry.ts";
import { CodedError } from "../schemas/errors.ts";
import { finalObject, visibleText } from "../schemas/final.ts";
import { MAX_INPUT, type UpFrame } from "../schemas/frames.ts";
import type { Following } from "../subjects/log.ts";
import { identifyCaller } from "./caller.ts";
import { cancelRequest, giveFeedback } from "./commands.ts";
import type { Identity } from "./credentials.ts";
import { type FollowPorts, findFollowed, resumption, submitFollowed } from "./followed.ts";
import { openFollows } from "./follows.ts";
import { mustOwnSession } from "./lookup.ts";
import { CLOSE, type Outbox, openOutbox } from "./outbox.ts";
import type { GatewayPorts } from "./ports.ts";
import { MAX_FRAME_BYTES, readFrame } from "./read-frame.ts";
import type { Socket } from "./transport.ts";
import { watchSession } from "./watch.ts";

const MAX_WATCHES = 16;
const MAX_COMMANDS = 256;

export type ConnectionPorts = FollowPorts & Pick<GatewayPorts, "credentials" | "feedback" | "logger" | "meter">;

export type ConnectionOptions = {
	/** Milliseconds to wait for `hello`. */
	helloMs?: number;
	onClose?(): void;
};
const STANDARD_HELLO_MS = 10_000;

/** A connection that is served, for whoever keeps all of them. */
export type Served = {
	/** The key that it was opened with, once it is known to be good. */
	token(): string | undefined;
	/** Closes it because its key is good no longer (P3). */
	revoke(): void;
};

type Named<Type extends UpFrame["type"]> = Extract<UpFrame, { type: Type }>;
const finalSeq = (seq: number | null) => (seq === null ? {} : { final_seq: seq });
type Command = Exclude<UpFrame, { type: "hello" | "ping" }>;

/**
 * Speaks the WebSocket protocol over a socket (PROTOCOL.md). `token` comes from the upgrade; without it the first frame has
 * to be `hello`. The connection holds no events: its followers have cursors, and the log has the rest.
 */
export function serveConnection(
	ports: ConnectionPorts,
	socket: Socket,
	token: string | undefined,
	{ helloMs = STANDARD_HELLO_MS, onClose = () => {} }: ConnectionOptions = {},
): Served {
	const watches = new Map<string, Following>();
	let commands = 0;
	let open = true;
	let accepted: string | undefined;
	/** Set by the first hello; commands wait for it. */
	let caller: Promise<Identity | undefined> | undefined;

	const outbox: Outbox = openOutbox(socket, () => follows.resume());
	const follows = openFollows(outbox);
	const late = setTimeout(() => refuse(`a "hello" frame is expected within ${helloMs / 1_000} s`), helloMs);

	function refuse(message: string): void {
		outbox.answer({ type: "error", code: "unauthorized", message });
		socket.close(CLOSE.unauthorized, "unauthorized");
	}

	function problem(id: string | undefined, error: unknown): void {
		const coded =
			error instanceof CodedError
				? error
				: new CodedError("internal", "a fault of this server; try again with the same idempotency key");
		if (coded !== error) ports.logger.error({ err: error }, "a command failed");
		ports.meter.count("throughline_gateway_errors_total", { code: coded.code, door: "websocket" });
		outbox.answer({
			type: "error",
			...(id !== undefined && { id }),
			code: coded.code,
			message: coded.message,
			...(coded.retryAfter !== undefined && { retry_after: coded.retryAfter }),
		});
	}

	function authenticate(key: string): void {
		caller = identifyCaller(ports, key).then(
			(identity) => {
				clearTimeout(late);
				if (!open) return undefined;
				accepted = key;
				const limits = { frame_bytes: MAX_FRAME_BYTES, input_characters: MAX_INPUT };
				outbox.answer({ type: "ready", principal: identity.principal, limits });
				return identity;
			},
			(error: unknown) => {
				clearTimeout(late);
				problem(undefined, error);
				const refused = error instanceof CodedError && error.code === "unauthorized";
				if (refused) socket.close(CLOSE.unauthorized, "unauthorized");
				else socket.close(CLOSE.later, "keys cannot be looked up now: connect again");
				return undefined;
			},
		);
	}

	async function submit(frame: Named<"submit">, identity: Identity): Promise<void> {
		const { type: _, id, idempotency_key: idempotencyKey, ...body } = frame;
		const place = follows.reserve();
		try {
			const submitted = await submitFollowed(
				ports,
				{ identity, body, idempotencyKey, door: "websocket" },
				// Held already now, so that a watch of the same session sees that this request has its follower.
				{ opened: (request, follower) => follows.hold(place, request, follower) },
			);
			ports.meter.count("throughline_gateway_submits_total", { outcome: submitted.outcome, door: "websocket" });
			if (submitted.outcome === "stored") {
				const { final } = submitted;
				const { request_id, session_id } = final;
				const ended = finalSeq(final.final_seq);
				outbox.answer({ type: "reply", id, request_id, session_id, status: "completed", ...ended });
				outbox.answer({ type: "final", request_id, final });
				return;
			}
			const { request, session } = submitted.address;
			outbox.answer({ type: "reply", id, request_id: request, session_id: session, status: submitted.outcome });
			follows.begin(id, submitted, 0);
		} finally {
			place.release();
		}
	}

	async function resume({ id, request_id, after, snapshot }: Named<"resume">, identity: Identity): Promise<void> {
		// A resume of what is followed already takes over that place.
		const place = follows.has(request_id) ? undefined : follows.reserve();
		try {
			const resumed = resumption(await findFollowed(ports, identity, request_id), after);
			ports.meter.count("throughline_gateway_resumes_total", { outcome: resumed.resumed, door: "websocket" });
			if (resumed.resumed === "gone") {
				outbox.answer({ type: "reply", id, request_id, status: "gone", reason: resumed.reason });
				return;
			}
			if (resumed.resumed === "result") {
				const { final } = resumed;
				outbox.answer({ type: "reply", id, request_id, status: "completed", ...finalSeq(final.final_seq) });
				outbox.answer({ type: "final", request_id, final });
				return;
			}
			const { address, entries, follower } = resumed;
			const last = entries.at(-1);
			const status = resumed.resumed;
			const ended = finalSeq(status === "completed" && last ? lastSeq(last) : null);
			outbox.answer({ type: "reply", id, request_id, session_id: address.session, status, ...ended });
			const from = snapshot && last ? lastSeq(last) : after;
			if (snapshot) {
				const text = visibleText(entries.flatMap(({ events }) => events));
				outbox.answer({ type: "snapshot", request_id, text, up_to: from });
			}
			const final = snapshot && resumed.resumed === "completed" ? finalObject(entries) : undefined;
			if (!final) {
				follows.begin(id, resumed, from);
				return;
			}
			follower.close();
			outbox.answer({ type: "final", request_id, final });
		} finally {
			place?.release();
		}
	}

	/** Follows a request that a watch has named. */
	async function announce(request: string, identity: Identity): Promise<void> {
		if (!open || follows.has(request)) return;
		const place = follows.reserve();
		try {
			const found = await findFollowed(ports, identity, request);
			if (found.found !== "log") return;
			if (follows.has(request)) found.follower.close();
			else follows.begin(undefined, found, 0);
		} finally {
			place.release();
		}
	}

	async function watch({ id, session_id: session }: Named<"watch">, identity: Identity): Promise<void> {
		await mustOwnSession(ports, identity, session);
		if (open && !watches.has(session)) {
			if (watches.size >= MAX_WATCHES) {
				const message = `at most ${MAX_WATCHES} watched sessions per socket are expected; open another socket`;
				throw new CodedError("too_many_requests", message);
			}
			const { tenant } = identity;
			const watching = watchSession(ports.log, { tenant, session }, (request) => {
				announce(request, identity).catch((error: unknown) => problem(undefined, error));
			});
			watches.set(session, watching);
			await watching.ready();
		}
		outbox.answer({ type: "reply", id, status: "done" });
	}

	async function run(frame: Command, identity: Identity): Promise<void> {
		switch (frame.type) {
			case "submit":
				return submit(frame, identity);
			case "resume":
				return resume(frame, identity);
			case "watch":
				return watch(frame, identity);
			case "cancel": {
				const { id, request_id } = frame;
				const outcome = await cancelRequest(ports, identity, request_id);
				const reason = outcome === "already ended" ? { reason: outcome } : {};
				outbox.answer({ type: "reply", id, request_id, status: "done", ...reason });
				return;
			}
			case "feedback": {
				const { id, request_id } = frame;
				await giveFeedback(ports, identity, request_id, frame);
				outbox.answer({ type: "reply", id, request_id, status: "done" });
				return;
			}
		}
	}

	async function command(frame: Command): Promise<void> {
		if (!caller) {
			refuse(`a "hello" frame is expected first, got "${frame.type}"`);
			return;
		}
		if (commands >= MAX_COMMANDS) {
			const message = `at most ${MAX_COMMANDS} commands under way are expected; wait for their answers`;
			problem(frame.id, new CodedError("too_many_requests", message, 1));
			return;
		}
		commands++;
		try {
			const identity = await caller;
			if (identity && open) await run(frame, identity);
		} catch (error) {
			problem(frame.id, error);
		} finally {
			commands--;
		}
	}

	socket.onMessage(async (text) => {
		const read = readFrame(text);
		if ("fault" in read) problem(read.id, read.fault);
		else if (read.frame.type === "ping") outbox.answer({ type: "pong" });
		else if (read.frame.type !== "hello") await command(read.frame);
		else if (caller) problem(undefined, new CodedError("invalid_body", `one "hello" is expected, this is another`));
		else authenticate(read.frame.token);
	});
	socket.onClose(() => {
		open = false;
		clearTimeout(late);
		follows.close();
		for (const watching of watches.values()) watching[Symbol.dispose]();
		watches.clear();
		onClose();
	});
	if (token !== undefined) authenticate(token);

	return {
		token: () => accepted,
		revoke: () => refuse("the key of this socket was revoked"),
	};
}
