import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

const known = ["chat", "ingest", "show", "keys create", "keys list"];

test("a mistyped word finds the one that was meant", () => {
	expect(["chta", "ingets", "keys creat"].map((word) => nearest(word, known))).toEqual([
		"chat",
		"ingest",
		"keys create",
	]);
});

test("a word that is like none finds nothing", () => {
	expect(["frobnicate", "x"].map((word) => nearest(word, known))).toEqual([undefined, undefined]);
});
