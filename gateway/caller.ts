import { CodedError } from "../schemas/errors.ts";
import type { Credentials, Identity } from "./credentials.ts";
import type { Logger } from "./ports.ts";

/** Who calls with this key (P1). Rejects with `unauthorized`, or with `unavailable` when that cannot be found out now. */
export async function identifyCaller(
	{ credentials, logger }: { credentials: Credentials; logger: Logger },
	token: string | undefined,
): Promise<Identity> {
	const identity = token === undefined ? undefined : await lookUp();
	if (identity) return identity;
	const got = token === undefined ? "none" : "one that is unknown or revoked";
	throw new CodedError(
		"unauthorized",
		`a key of this server is expected ("Authorization: Bearer <key>", or "token" in hello), got ${got}`,
	);

	async function lookUp(): Promise<Identity | undefined> {
		try {
			return await credentials.identify(token ?? "");
		} catch (problem) {
			if (problem instanceof CodedError) throw problem;
			logger.warn({ err: problem }, "a key could not be looked up");
			throw new CodedError("unavailable", "keys cannot be looked up now; try again in a few seconds", 2);
		}
	}
}
