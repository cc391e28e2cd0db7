import { expect, test } from "vitest";
import { responseBody } from "./response-body.ts";

/** A connection that only remembers what it was told. */
function connection() {
	const state = {
		paused: false,
		aborted: false,
		reason: null,
		pause: () => {
			state.paused = true;
		},
		resume: () => {
			state.paused = false;
		},
		abort: () => {
			state.aborted = true;
		},
	};
	return state;
}

test("what was pushed comes before the failure that followed it", async () => {
	const body = responseBody(connection());
	body.push(Buffer.from("a"));
	body.end(new Error("socket closed"));
	expect(await body.chunks.next()).toEqual({ value: Buffer.from("a"), done: false });
	await expect(body.chunks.next()).rejects.toThrow("socket closed");
});

test("a reader that waits gets the next chunk, the end or the failure", async () => {
	const body = responseBody(connection());
	const first = body.chunks.next();
	body.push(Buffer.from("a"));
	expect(await first).toEqual({ value: Buffer.from("a"), done: false });
	const last = body.chunks.next();
	body.end();
	expect(await last).toEqual({ value: undefined, done: true });

	const broken = responseBody(connection());
	const never = broken.chunks.next();
	broken.end(new Error("socket closed"));
	await expect(never).rejects.toThrow("socket closed");
});

test("the socket pauses while 64 KiB wait for the reader", async () => {
	const socket = connection();
	const body = responseBody(socket);
	body.push(Buffer.alloc(40_000));
	expect(socket.paused).toBe(false);
	body.push(Buffer.alloc(40_000));
	expect(socket.paused).toBe(true);
	await body.chunks.next();
	expect(socket.paused).toBe(false);
});

test("a reader that has enough lets a short rest pass and keeps the connection", async () => {
	const socket = connection();
	const body = responseBody(socket);
	body.push(Buffer.alloc(70_000));
	await body.chunks.return?.();
	expect(socket.paused).toBe(false);
	body.push(Buffer.from("data: [DONE]\n\n"));
	body.end();
	expect(socket.aborted).toBe(false);
});

test("a rest that does not come to its end is cut off", async () => {
	const socket = connection();
	const body = responseBody(socket);
	await body.chunks.return?.();
	body.push(Buffer.alloc(60_000));
	expect(socket.aborted).toBe(false);
	body.push(Buffer.alloc(60_000));
	expect(socket.aborted).toBe(true);
});
