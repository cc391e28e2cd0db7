import { expect, test } from "vitest";
import { frameReader } from "./web-socket.ts";

/** A frame as a server sends it: without a mask. */
function frame(text: string): Buffer {
	const payload = Buffer.from(text);
	const head =
		payload.length < 126
			? Buffer.from([0x81, payload.length])
			: payload.length < 65_536
				? Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff])
				: Buffer.concat([Buffer.from([0x81, 127]), bigEndian(payload.length)]);
	return Buffer.concat([head, payload]);
}
function bigEndian(length: number): Buffer {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64BE(BigInt(length));
	return bytes;
}

const short = ["", "a", "ü".repeat(60), "b".repeat(125), "c".repeat(126), "end"];
const long = ["d".repeat(65_535), "e".repeat(65_536), "end"];

test.each([
	{ texts: short, sizes: [1, 2, 3, 7, 1_000] },
	{ texts: long, sizes: [1_000, 65_537, 200_000] },
])("frames of every length are read, however the bytes are cut", ({ texts, sizes }) => {
	const bytes = Buffer.concat(texts.map(frame));
	for (const size of sizes) {
		const got: string[] = [];
		const read = frameReader((opcode, payload) => got.push(`${opcode}${payload}`));
		for (let at = 0; at < bytes.length; at += size) read(bytes.subarray(at, at + size));
		expect(got, `in pieces of ${size}`).toEqual(texts.map((text) => `1${text}`));
	}
});

test("a fragment is refused", () => {
	expect(() => frameReader(() => {})(Buffer.from([0x01, 0x00]))).toThrow("fragment");
});
