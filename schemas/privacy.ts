import { z } from "zod";

/** What may leave the tenant's own log: `public` anywhere, `personal` redacted, `secret` never. */
export type Privacy = "public" | "personal" | "secret";

/** The answer of each declared field; `redact` walks a schema by it, and a test finds fields without one. */
export const privacy = z.registry<{ privacy: Privacy }>();

const marked =
	(as: Privacy) =>
	<T extends z.ZodType>(schema: T): T => {
		privacy.add(schema, { privacy: as });
		return schema;
	};
export const open = marked("public");
export const personal = marked("personal");
export const secret = marked("secret");
