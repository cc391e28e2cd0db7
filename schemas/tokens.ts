import { z } from "zod";

/** What may stand between two dots of a subject. */
export const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

export const token = z.string().regex(TOKEN, "1 to 64 of A-Z a-z 0-9 _ -");
export const requestId = z.string().regex(/^r_[a-z2-7]{26}$/, "a request id (r_ and 26 characters)");
export const sessionId = z.string().regex(/^s_[a-z2-7]{26}$/, "a session id (s_ and 26 characters)");
