import type { Body } from "./transport.ts";

export type BodyCollector = {
	/** Takes a piece; the bytes are copied, so the caller may reuse them. */
	add(piece: ArrayBuffer, last: boolean): void;
	gone(): void;
	ask(limit: number): Promise<Body>;
};

/**
 * Collects the body of one request from its first piece, since the library hands pieces out only once and a handler may ask
 * late. `announced` is the content length (0: none given). More than `ceiling` bytes are counted and not kept.
 */
export function collectBody(announced: number, ceiling: number): BodyCollector {
	let keep = ceiling;
	let pieces: Buffer[] = [];
	let received = 0;
	let whole = false;
	let left = false;
	let answer: Promise<Body> | undefined;
	let resolveAnswer: ((body: Body) => void) | undefined;

	const tooLarge = () => Math.max(received, announced) > keep;
	const settle = () => {
		if (tooLarge()) pieces = [];
		if (resolveAnswer === undefined) return;
		if (tooLarge()) resolveAnswer("too_large");
		else if (whole) resolveAnswer({ text: Buffer.concat(pieces).toString("utf8") });
		else if (left) resolveAnswer("gone");
		else return;
		resolveAnswer = undefined;
		pieces = [];
	};

	return {
		add(piece, last) {
			received += piece.byteLength;
			if (!tooLarge()) pieces.push(Buffer.from(new Uint8Array(piece)));
			whole = last;
			settle();
		},
		gone() {
			left = true;
			settle();
		},
		ask(limit) {
			answer ??= new Promise((resolve) => {
				resolveAnswer = resolve;
				keep = Math.min(keep, limit);
				settle();
			});
			return answer;
		},
	};
}
