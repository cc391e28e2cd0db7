export type BenchOptions = {
	/** How many times a number is taken. */
	trials: number;
	/** Length of one trial; each bench has its own preset. */
	seconds: number | undefined;
	inFlight: number | undefined;
	/** Submits without idempotency keys. */
	keyless: boolean;
	/** Also says where the server's processes spend their time. */
	profile: boolean;
};

/** Where a bench puts what it finds. */
export type Report = {
	print(text: string): void;
	/** Keeps one line of raw output. */
	raw(line: Readonly<Record<string, unknown>>): void;
};

/** The number that stands for a bench, and whether all of its goals are reached. */
export type Verdict = { value: number; unit: string; pass: boolean };

export type Bench = {
	/** What it must reach, as a sentence. */
	goal: string;
	run(options: BenchOptions, report: Report): Promise<Verdict>;
};
