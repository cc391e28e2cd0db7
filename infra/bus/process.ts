import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/**
 * Something that stays the same as long as this process lives and differs for a later one with the same id: on Linux its
 * start time; elsewhere only that it lives. Nothing when it has ended, even if nobody has collected it yet.
 */
export function lifeOf(pid: number): string | undefined {
	try {
		if (process.platform === "linux") {
			const text = readFileSync(`/proc/${pid}/stat`, "utf8");
			// The name in parentheses may hold blanks and parentheses; fields are counted behind it: state is 3, start 22.
			const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
			return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
		}
		process.kill(pid, 0);
		return "lives";
	} catch (problem) {
		// somebody else's process lives too
		return problem instanceof Error && "code" in problem && problem.code === "EPERM" ? "lives" : undefined;
	}
}

/** The command and its arguments with blanks between; empty when there is no such process. */
export async function commandLine(pid: number): Promise<string> {
	try {
		if (process.platform === "linux") return (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
		return (await promisify(execFile)("ps", ["-o", "command=", "-p", String(pid)])).stdout;
	} catch {
		return "";
	}
}
