import { expect, test } from "vitest";
import { startTrace } from "./trace.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";

test("[P32] a valid traceparent keeps its trace and flags and gets a new span", () => {
	const started = startTrace(`00-${trace}-b7ad6b7169203331-00`);
	expect(started).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`));
	expect(started).not.toContain("b7ad6b7169203331");
});

test.each([
	undefined,
	"",
	"junk",
	`ff-${trace}-b7ad6b7169203331-01`,
	`00-${"0".repeat(32)}-b7ad6b7169203331-01`,
	`00-${trace}-${"0".repeat(16)}-01`,
	`00-${trace.toUpperCase()}-b7ad6b7169203331-01`,
])("[P32] %s begins a new trace", (header) => {
	const started = startTrace(header);
	expect(started).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
	expect(started).not.toContain(trace);
});
