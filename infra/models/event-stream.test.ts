import fc from "fast-check";
import { expect, test } from "vitest";
import { eventReader } from "./event-stream.ts";

function readAll(pieces: Uint8Array[]): string[] {
	const reader = eventReader();
	return [...pieces.flatMap((piece) => reader.read(piece)), ...reader.rest()];
}
const bytes = (text: string) => new TextEncoder().encode(text);

test("data of each event is read; comments, names and ids are passed over", () => {
	const stream = ': keep-alive\n\nevent: message\nid: 7\ndata: {"a":1}\n\ndata:[DONE]\n\n';
	expect(readAll([bytes(stream)])).toEqual(['{"a":1}', "[DONE]"]);
});

test("data over several lines is one event", () => {
	expect(readAll([bytes("data: a\ndata: b\n\n")])).toEqual(["a\nb"]);
});

test("an event without its blank line at the end of the body still counts", () => {
	expect(readAll([bytes("data: a\n\ndata: b")])).toEqual(["a", "b"]);
	expect(readAll([bytes("data: a\r\n\r\ndata: b\r\n")])).toEqual(["a", "b"]);
	expect(readAll([bytes("data: a\n\n")])).toEqual(["a"]);
});

test("however the bytes are cut and whatever ends the lines, the events are the same", () => {
	fc.assert(
		fc.property(
			fc.array(
				fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)),
				{ maxLength: 5 },
			),
			fc.constantFrom("\n", "\r\n", "\r"),
			fc.array(fc.nat({ max: 200 }), { maxLength: 8 }),
			(payloads, end, cuts) => {
				const whole = bytes(payloads.map((payload) => `: hello${end}data: ${payload}${end}${end}`).join(""));
				const edges = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
				const pieces = edges.slice(1).map((edge, index) => whole.subarray(edges[index], edge));
				expect(readAll(pieces)).toEqual(payloads);
			},
		),
	);
});

test("an event that never ends is refused, not kept", () => {
	const reader = eventReader();
	const endless = new Uint8Array(1_048_576).fill(120);
	expect(() => {
		for (let n = 0; n < 6; n++) reader.read(endless);
	}).toThrow("expected an event of at most 4194304 characters");
});
