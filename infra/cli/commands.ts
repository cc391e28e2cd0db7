import { chat } from "./chat.ts";
import type { Command } from "./command.ts";
import { config } from "./config.ts";
import { ingest } from "./ingest.ts";
import { createKeyCommand, listKeysCommand, revokeKeyCommand } from "./keys.ts";
import { record } from "./record.ts";
import { show } from "./show.ts";
import { tail } from "./tail.ts";

/** In the order in which somebody new meets them. */
export const commands: readonly Command[] = [
	chat,
	ingest,
	tail,
	show,
	record,
	createKeyCommand,
	listKeysCommand,
	revokeKeyCommand,
	config,
];
