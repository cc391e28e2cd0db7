/** Runs a handler; what it throws or rejects with goes to `failed`, for an exception in a native callback ends the process. */
export function guarded(run: () => unknown, failed: (error: unknown) => void): void {
	try {
		const result = run();
		if (result instanceof Promise) result.catch(failed);
	} catch (error) {
		failed(error);
	}
}

/** Runs `write` so that all that it writes leaves together, and passes its exception on around the native frames. */
export function corked(target: { cork(run: () => void): unknown }, write: () => void): void {
	let thrown: { error: unknown } | undefined;
	target.cork(() => {
		try {
			write();
		} catch (error) {
			thrown = { error };
		}
	});
	if (thrown !== undefined) throw thrown.error;
}
