/** Characters of one event that are kept before the stream counts as broken; chunks of a model are below a few KiB. */
const longestEvent = 4_194_304;

export type EventReader = {
	/** The data of every event that these bytes complete, in order. Throws `SyntaxError` when an event does not end. */
	read(bytes: Uint8Array): string[];
	/** The data of an event that the body ended in: some servers leave out the blank line after the last one. */
	rest(): string[];
};

/**
 * Reads server-sent events (WHATWG HTML, 9.2.6) as far as models speak them: data only, in whatever pieces
 * the bytes arrive. Comments, names, ids and retry times are passed over.
 */
export function eventReader(): EventReader {
	const decoder = new TextDecoder();
	let pending = "";
	let data: string | undefined;

	const take = (lines: string[]) => {
		const events: string[] = [];
		for (const line of lines) {
			if (line === "") {
				if (data !== undefined) events.push(data);
				data = undefined;
			} else if (line.startsWith("data:")) {
				const value = line.slice(line.charCodeAt(5) === 32 ? 6 : 5);
				data = data === undefined ? value : `${data}\n${value}`;
			}
		}
		return events;
	};

	return {
		read: (bytes) => {
			const text = pending + decoder.decode(bytes, { stream: true });
			// A carriage return at the end may be the first half of a line end.
			const lines = text.includes("\r") ? text.split(/\r\n|\n|\r(?!$)/) : text.split("\n");
			pending = lines.pop() ?? "";
			if (pending.length + (data?.length ?? 0) > longestEvent) {
				throw new SyntaxError(`expected an event of at most ${longestEvent} characters, got more`);
			}
			return take(lines);
		},
		rest: () => {
			const lines = [...(pending + decoder.decode()).split(/[\r\n]/), ""];
			pending = "";
			return take(lines);
		},
	};
}
