import { expect, test } from "vitest";
import { table } from "./table.ts";

test("numbers stand to the right under their heads, words to the left", () => {
	const lines = table(
		["what", "p50"],
		[
			["through", 1.234],
			["direct", 1_234.5],
			["none", "-"],
		],
	);
	expect(lines.split("\n")).toEqual(["what      p50", "through  1.23", "direct   1235", "none        -"]);
});
