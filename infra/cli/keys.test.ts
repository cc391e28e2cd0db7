import { expect, test } from "vitest";
import { keyTable } from "./keys.ts";

test("a list of keys names them by the beginning of their id and says which are valid", () => {
	const key = { principal: "web", roles: [], label: "", created_at: Date.UTC(2026, 0, 2, 3, 4), revoked_at: null };
	expect(
		keyTable([
			{ ...key, id: "a".repeat(64), roles: ["editor", "developer"], label: "the web\u001b[1mshop" },
			{ ...key, id: "b".repeat(64), revoked_at: Date.UTC(2026, 1, 3) },
		]),
	).toBe(
		[
			"id            principal  roles             created            state                      label",
			"aaaaaaaaaaaa  web        editor,developer  2026-01-02 03:04Z  valid                      the web[1mshop",
			"bbbbbbbbbbbb  web        -                 2026-01-02 03:04Z  revoked 2026-02-03 00:00Z",
			"",
		].join("\n"),
	);
});
