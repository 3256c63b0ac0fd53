/** Types of the runner's annotations by which a test tells plan and reporter about itself. */
export const REQUIREMENT_ANNOTATION = "requirement";
/** Narrows a test to a generation. */
export const GENERATION_ANNOTATION = "generation";
/** On a test whose threads must meet: how many processors its machine needs. */
export const CPUS_ANNOTATION = "cpus";
/** Marks a canary; the text is the outcome that the harness must call it by: `crashed`, `crashed: oops`, `infra-error: VM_DIED`. */
export const CANARY_ANNOTATION = "canary";
/** On a canary: what it may be planted in besides a machine of its own: `any`, or `rebootable` with a console. */
export const MACHINE_ANNOTATION = "machine";
/** Narrows a canary to targets of this build: only there is what it plants looked for. */
export const BUILD_ANNOTATION = "build";
/** Names a thing the subject lacks; with it a skipped test is `unsupported`. */
export const UNSUPPORTED_ANNOTATION = "unsupported";
/** Folder of evidence kept for the test. */
export const EVIDENCE_ANNOTATION = "evidence";
/** On a canary: the reporter really drops its result. */
export const LOSE_RESULT_ANNOTATION = "lose-result";

/** Between the titles of nested describes; the runner uses the same sign in its own test lists. */
export const TITLE_SEPARATOR = " \u203a ";
