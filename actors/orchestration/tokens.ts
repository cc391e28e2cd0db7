import { countTokens as count } from "gpt-tokenizer/encoding/o200k_base";

/** Byte pair encoding takes quadratic time in the length of an unbroken run; tokens across these cuts are counted as two. */
const LONG_RUN = /(\S{256}|\s{256})/u;
/** Characters that are counted before the limit is looked at again. */
const STRIDE = 4_096;

/** Tokens of a text in o200k_base; never too few for a text with very long words, at most a few too many. */
export const countTokens = (text: string): number =>
	LONG_RUN.test(text) ? text.split(LONG_RUN).reduce((sum, run) => sum + count(run), 0) : count(text);

/** Whether a text has more tokens than `limit`; stops counting there, so that a huge text costs no more than a large one. */
export function exceedsTokens(text: string, limit: number): boolean {
	let tokens = 0;
	for (let at = 0; at < text.length && tokens <= limit; at += STRIDE)
		tokens += countTokens(text.slice(at, at + STRIDE));
	return tokens > limit;
}
