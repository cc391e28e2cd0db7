/** npm hands on the signal that the terminal has sent to both already: what comes this soon after another is the same key. */
const SAME_KEY_MS = 200;

/** Calls `first` at the first Ctrl-C and `second` at the next ones, until disposed. */
export function onInterrupt({ first, second }: { first(): void; second(): void }): Disposable {
	let before: number | undefined;
	const handle = () => {
		const now = performance.now();
		if (before !== undefined && now - before < SAME_KEY_MS) return;
		if (before === undefined) first();
		else second();
		before = now;
	};
	process.on("SIGINT", handle);
	return { [Symbol.dispose]: () => process.off("SIGINT", handle) };
}
