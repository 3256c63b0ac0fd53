import type { Breach } from "./check.ts";
import type { Step, Story } from "./history.ts";
import { PROMISES } from "./promises.ts";

/** A breach in words: the promise, the contradiction, and the piece of history with the places where it was seen. */
export function describeBreach({ promise, detail, piece }: Breach, whole: Story): string {
  const [text, requirements] = PROMISES[promise];
  const width = Math.max(...piece.logs.map(({ thread }) => thread.length), 8);
  const done = piece.logs.flatMap(({ thread, steps }) => steps.map((step) => `    ${thread.padEnd(width)}  ${describeStep(step)}`));
  const seen = piece.views.map((view) => {
    const all = whole.views.find(({ receiver }) => receiver === view.receiver)?.seen ?? [];
    const entries = view.seen.map((entry) => `${entry.id}${entry.seqnum === undefined ? "" : ` (seqnum ${entry.seqnum})`} as number ${all.indexOf(entry) + 1} of ${all.length}`);
    return `    ${String(view.receiver).padEnd(width)}  ${entries.length === 0 ? `got ${all.length} messages, none of these` : `got ${entries.join(", then ")}`}`;
  });
  return [
    `Promise ${promise} of ordering is broken (specification, Ordering, section 2; ${requirements}): ${text}.`,
    `  ${detail}`,
    "  The shortest piece of what happened that shows it:",
    ...(done.length === 0 ? [] : ["  done, by thread", ...done]),
    "  received, by connection",
    ...seen,
  ].join("\n");
}

function describeStep(step: Step): string {
  switch (step.do) {
    case "send": {
      const to = step.to === "everybody" ? "everybody" : "name" in step.to ? `the name ${step.to.name}` : String(step.to.receiver);
      return `SEND of ${step.id} to ${to}${step.accepted ? "" : ", which failed"}`;
    }
    case "receive":
      return `received ${step.id}`;
    case "change": {
      const what = step.takes === undefined ? (step.end ? "ended" : "changed a name") : `gave ${step.takes.name} to ${step.takes.by}`;
      return `${what}${step.ids.length === 0 ? "" : `: ${step.ids.join(", ")}`}`;
    }
    case "give":
      return `let others go on (${step.token})`;
    case "take":
      return `went on after that (${step.token})`;
  }
}
