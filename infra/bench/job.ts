/** What a request is sent to: the server under test, or the provider behind it without the server. */
export type Target = "through" | "direct";

export type Load =
	/** The next request is sent when one has ended: shows what can be done, hides waiting. */
	| { kind: "closed"; inFlight: number }
	/** Requests come at random times of this mean rate, whatever has become of the earlier ones: shows waiting. */
	| { kind: "open"; perSecond: number; seed: number };

/** One run of load. Samples of the ramp are thrown away; the measured time follows it without a break. */
export type Job = {
	load: Load;
	/** Taken in turn, request by request. */
	targets: readonly Target[];
	rampSeconds: number;
	seconds: number;
	/** Whether a submit carries an idempotency key, as every client that retries sends one. */
	keyed: boolean;
	/** The answer that every request must get. */
	expected: string;
};

/** Where the generator sends requests. */
export type Aim = { url: string; key: string; sockets: number; provider: string };

/** One request. Times in ms; `at` counts from the start of the measured time and is negative in the ramp. */
export type Sample = {
	target: Target;
	/** When it was due; in a closed loop, when it was sent. */
	at: number;
	/** From when it was due until it was sent: what the generator itself is late. */
	late: number;
	/** From when it was due until the first text was there, and until the end was. */
	first: number;
	total: number;
	/** What was wrong with it; nothing for a complete and lawful answer. */
	fault?: string;
};

export type ToGenerator = { type: "aim"; aim: Aim } | { type: "job"; job: Job };
export type FromGenerator =
	| { type: "aimed" }
	/** The measured time begins or ends now. */
	| { type: "edge"; edge: "begin" | "end" }
	/** Every request that was sent in the measured time or was still under way when it began. */
	| { type: "samples"; samples: Sample[] }
	| { type: "failed"; message: string };
