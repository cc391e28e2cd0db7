import pino from "pino";

/** The process's log: JSON lines with request, tenant and trace id where there is a request. Values are redacted before they come here. */
export type Logger = pino.Logger;

export function openLogger(level: string, name: string): Logger {
	return pino({ level, base: { process: name, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime });
}
