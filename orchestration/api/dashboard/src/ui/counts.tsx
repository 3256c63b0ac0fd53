import type { JSX } from "preact";
import type { Counts } from "../../../schemas/common.ts";
import { Mark, wordOf, type Tone } from "./marks.tsx";

/** Outcomes in the order of how much they matter, with their keys in the counts. */
export const OUTCOMES = [
  ["crashed", "crashed"],
  ["failed", "failed"],
  ["timed-out", "timedOut"],
  ["infra-error", "infraError"],
  ["not-run", "notRun"],
  ["unsupported", "unsupported"],
  ["passed", "passed"],
] as const satisfies readonly (readonly [string, keyof Counts])[];

/** What a set of tests comes to at a glance: the worst kind there is, and how many. */
export function worstOf(counts: Counts): { state: string; count: number; tone: Tone } {
  const bad = counts.failed + counts.timedOut;
  if (counts.crashed > 0) return { state: "crashed", count: counts.crashed + bad, tone: "worse" };
  if (bad > 0) return { state: "failed", count: bad, tone: "bad" };
  if (counts.infraError + counts.notRun > 0) return { state: counts.infraError > 0 ? "infra-error" : "not-run", count: counts.infraError + counts.notRun, tone: "blank" };
  if (counts.passed === 0) return { state: "unsupported", count: counts.unsupported, tone: "muted" };
  return { state: "passed", count: counts.passed, tone: "good" };
}

/** In words, for the title of a cell and for those who hear it. */
export function sayCounts(counts: Counts): string {
  const parts = OUTCOMES.filter(([, key]) => counts[key] > 0).map(([state, key]) => `${counts[key]} ${wordOf(state)}`);
  return `${counts.planned} planned: ${parts.join(", ")}${counts.waived > 0 ? `; ${counts.waived} waived` : ""}`;
}

/** Shares of the outcomes as one bar, and the numbers of all but the good ones. */
export function CountsBar({ counts }: { counts: Counts }): JSX.Element {
  return (
    <span class="counts" title={sayCounts(counts)}>
      <span class="bar" aria-hidden="true">
        {OUTCOMES.filter(([, key]) => counts[key] > 0).map(([state, key]) => (
          <span key={state} class={`seg seg-${state}`} style={{ flexGrow: counts[key] }} />
        ))}
      </span>
      <span class="sr">{sayCounts(counts)}</span>
    </span>
  );
}

export function CountsList({ counts }: { counts: Counts }): JSX.Element {
  return (
    <span class="count-list">
      {OUTCOMES.filter(([, key]) => counts[key] > 0).map(([state, key]) => (
        <span key={state} class="count-item">
          <Mark state={state} />
          <span class="num">{counts[key].toLocaleString("en")}</span>
        </span>
      ))}
    </span>
  );
}
