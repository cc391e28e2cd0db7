import type { Decision } from "../actor.ts";
import { callTools } from "./call-tools.ts";
import { brokenStatus, end, standing } from "./end.ts";
import { shownEvidence } from "./evidence.ts";
import type { Serving } from "./serving.ts";
import type { In } from "./state.ts";
import { validate } from "./validate.ts";

/** The model has answered, or no model will: tools, or validation and the end. */
export function conclude(serving: Serving, state: In<"validating">, seq: number): Decision {
	const { outcome, finish_reason: finish } = state.answer;
	if (outcome !== "completed" || finish === null) return breakOff(state, seq);
	switch (finish) {
		case "tool_calls":
			return callTools(serving, state, seq);
		case "content_filter": {
			const error = { code: "provider_refused" as const, message: "the provider's filter stopped the answer" };
			return end({ ...standing(state), status: "refused", finish, words: serving.feature.notices.refused, error }, seq);
		}
		case "stop":
		case "length":
			return check(serving, state, finish, seq);
	}
}

function check({ feature, row }: Serving, state: In<"validating">, finish: "stop" | "length", seq: number): Decision {
	const { checks, citations } = validate(feature.validators, state.said, shownEvidence(row, state));
	const fault = checks.find(({ passed }) => !passed);
	if (!fault) {
		const status = finish === "stop" ? "completed" : "incomplete";
		return end({ ...standing(state), status, finish, citations, checks }, seq);
	}
	const message = `the answer failed check "${fault.validator}": ${fault.detail}`;
	const retract = state.said === "" ? {} : { retract: { from_seq: state.speaksFrom, reason: "validation_failed" } };
	const words = `This answer was withdrawn: ${message}.`;
	const error = { code: "validation_failed" as const, message };
	return end({ ...standing(state), ...retract, status: "failed", finish: "error", words, error, checks }, seq);
}

/** The chain is exhausted: what was said stands, marked as broken off. */
function breakOff(state: In<"validating">, seq: number): Decision {
	const stood = standing(state);
	const message = state.answer.error?.message ?? "the model gave no answer";
	const words =
		state.said === ""
			? `No model gave an answer: ${message}.`
			: "The answer breaks off here: the model's stream failed.";
	const error = { code: "provider_failed" as const, message };
	return end({ ...stood, status: brokenStatus(stood), finish: "error", words, error }, seq);
}
