import type { JSX } from "preact";

/** Signs that tell states apart by shape, so that colour is never needed. Each is drawn, so no font can lack it. */
const SHAPES: Readonly<Record<string, JSX.Element>> = {
  check: <path d="M3 8.5l3.2 3.2L13 4.8" />,
  cross: <path d="M4 4l8 8M12 4l-8 8" />,
  burst: <path d="M8 1.8v4M8 10.2v4M1.8 8h4M10.2 8h4M3.6 3.6l2.8 2.8M9.6 9.6l2.8 2.8M12.4 3.6L9.6 6.4M6.4 9.6l-2.8 2.8" />,
  clock: <path d="M8 2.2a5.8 5.8 0 1 0 .01 0M8 4.8V8l2.4 1.6" />,
  dash: <path d="M3.5 8h9" />,
  triangle: <path d="M8 2.4L14 13.2H2L8 2.4zM8 6.4v3.2M8 11.4v.1" />,
  ring: <path d="M8 3a5 5 0 1 0 .01 0" />,
  question: <path d="M5.6 6a2.4 2.4 0 1 1 3.5 2.1c-.8.4-1.1.8-1.1 1.7M8 12.2v.1" />,
  flag: <path d="M4 14V2.8h7.6L9.8 5.6l1.8 2.8H4" />,
  play: <path d="M5 3.2l7.2 4.8L5 12.8z" />,
};

export type Tone = "good" | "bad" | "worse" | "blank" | "muted" | "busy";

const STATES: Readonly<Record<string, readonly [shape: string, tone: Tone, word: string]>> = {
  passed: ["check", "good", "passed"],
  failed: ["cross", "bad", "failed"],
  crashed: ["burst", "worse", "crashed"],
  "timed-out": ["clock", "bad", "timed out"],
  unsupported: ["dash", "muted", "unsupported"],
  "infra-error": ["triangle", "blank", "infrastructure error"],
  "not-run": ["ring", "blank", "not run"],
  conformant: ["check", "good", "conformant"],
  violated: ["cross", "bad", "violated"],
  undecided: ["question", "blank", "undecided"],
  held: ["check", "good", "held"],
  waived: ["flag", "muted", "waived"],
  unjudged: ["question", "blank", "not judged"],
  running: ["play", "busy", "running"],
  abandoned: ["ring", "blank", "abandoned"],
  waiting: ["clock", "muted", "waiting"],
  complete: ["check", "good", "complete"],
  interrupted: ["triangle", "blank", "interrupted"],
};

export function toneOf(state: string): Tone {
  return STATES[state]?.[1] ?? "muted";
}

export function wordOf(state: string): string {
  return STATES[state]?.[2] ?? state;
}

/** A state as sign, with its word for those who hear the page. */
export function Mark({ state, word = false }: { state: string; word?: boolean }): JSX.Element {
  const [shape, tone, name] = STATES[state] ?? ["question", "muted", state];
  return (
    <span class={`mark tone-${tone}`} title={name}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
        {SHAPES[shape]}
      </svg>
      <span class={word ? "mark-word" : "sr"}>{name}</span>
    </span>
  );
}

export function Verdict({ state, big = false }: { state: string; big?: boolean }): JSX.Element {
  return (
    <span class={`verdict tone-${toneOf(state)}${big ? " big" : ""}`}>
      <Mark state={state} word />
    </span>
  );
}
