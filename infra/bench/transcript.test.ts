import { expect, test } from "vitest";
import type { EventFrame } from "../../schemas/frames.ts";
import { openTranscript } from "./transcript.ts";

const TEXT = "one two";
const lawful: [type: string, fields?: Record<string, unknown>][] = [
	["request.accepted"],
	["message.started"],
	["state.entered"],
	["output_text.delta", { text: "one " }],
	["output_text.delta", { text: "two" }],
	["output_text.done"],
	["usage.completed"],
	["message.completed", { status: "completed" }],
];

/** Numbers them with gaps, as internal events leave them. */
function numbered(events: typeof lawful): EventFrame[] {
	return events.map(([type, fields], at) => {
		const [seq, prev] = [at * 2 + 1, at === 0 ? 0 : at * 2 - 1];
		return { type, request_id: "r_a", seq, prev, ...(type === "message.completed" && { final_seq: seq }), ...fields };
	});
}

function read(frames: readonly EventFrame[]) {
	const transcript = openTranscript(TEXT);
	for (const frame of frames) transcript.take(frame);
	return { ended: transcript.ended(), fault: transcript.fault() };
}

test("[P10] a lawful transcript has no fault and ends", () => {
	expect(read(numbered(lawful))).toEqual({ ended: true, fault: undefined });
});

test("[P9] every frame that is missing is a fault", () => {
	const frames = numbered(lawful);
	for (const [at] of frames.slice(0, -1).entries()) {
		expect(read(frames.toSpliced(at, 1)).fault, `without frame ${at}`).toBeDefined();
	}
	expect(read(frames.slice(0, -1)).ended).toBe(false);
});

test("[P9] every frame that comes twice is a fault", () => {
	const frames = numbered(lawful);
	for (const [at, frame] of frames.entries()) {
		expect(read(frames.toSpliced(at, 0, frame)).fault, `frame ${at} twice`).toBeDefined();
	}
});

test("[P12] text that differs is a fault, though every number is right", () => {
	expect(read(numbered(lawful.with(4, ["output_text.delta", { text: "three" }]))).fault).toContain("text");
});

test("an outcome other than completed, an error and a retraction are faults", () => {
	const end = lawful.length - 1;
	expect(read(numbered(lawful.with(end, ["message.completed", { status: "failed" }]))).fault).toContain("failed");
	expect(read(numbered(lawful.with(5, ["request.error", { code: "x", message: "y" }]))).fault).toContain("x");
	expect(read(numbered(lawful.with(5, ["output_text.retracted"]))).fault).toContain("retracted");
});

test("[P10] usage stands right before the end, message.started before any text", () => {
	expect(read(numbered(lawful.toSpliced(6, 1))).fault).toContain("output_text.done");
	expect(read(numbered(lawful.toSpliced(1, 1))).fault).toContain("before message.started");
});
