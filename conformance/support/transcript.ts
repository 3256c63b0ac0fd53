import { areaOf, requirement, type Area } from "../catalogue/index.ts";

/** One bus operation as it was asked for and as it ended. */
export interface Operation {
  /** Who did it: `root#1 (uid 0)`. */
  readonly who: string;
  /** What, decoded: `SEND to id 3, cookie 7, flags EXPECT_REPLY`. */
  readonly what: string;
  /** How it ended: `0`, `EPERM`, or what came back. */
  readonly result: string;
}

/**
 * The story of one test: every bus operation in the order in which it ended. Attached when the test fails, so that
 * someone who never read the suite can repeat what was done.
 */
export class Transcript {
  private readonly operations: { readonly atMs: number; readonly operation: Operation }[] = [];
  private readonly startMs = performance.now();
  /** Floods would drown the story; the middle of a long one is left out, and that is said. */
  private static readonly KEPT_AT_EACH_END = 200;

  add(operation: Operation): void {
    this.operations.push({ atMs: performance.now() - this.startMs, operation });
  }

  /** A remark of the test between the operations. */
  note(text: string): void {
    this.add({ who: "test", what: text, result: "" });
  }

  toString(): string {
    const kept = Transcript.KEPT_AT_EACH_END;
    const width = Math.max(...this.operations.map(({ operation }) => operation.who.length), 4);
    const lines = this.operations.map(({ atMs, operation: { who, what, result } }, index) => {
      const head = `${String(index + 1).padStart(4)} ${atMs.toFixed(0).padStart(6)} ms  ${who.padEnd(width)}  ${what}`;
      return result === "" ? head : `${head}\n${" ".repeat(16 + width)}-> ${result}`;
    });
    if (lines.length <= 2 * kept) return lines.join("\n");
    return [...lines.slice(0, kept), `     ... ${lines.length - 2 * kept} operations left out ...`, ...lines.slice(-kept)].join("\n");
  }
}

export interface Failure {
  readonly title: string;
  readonly file: string;
  readonly target: string;
  readonly requirements: readonly string[];
  readonly errors: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
  readonly transcript: Transcript;
}

/** The document of the specification that an area's requirements are drawn from. */
const DOCUMENTS: Readonly<Record<Area, string>> = {
  abi: "10-abi", fs: "20-fs", bus: "21-bus", ep: "22-endpoint", conn: "23-connection", name: "24-names", pol: "25-policy", msg: "30-message", pool: "31-pool", fd: "32-fds",
  meta: "33-metadata", ns: "34-namespaces", match: "35-match", note: "36-notifications", ord: "37-ordering", mon: "38-monitor-activator", lim: "39-limits", lsm: "40-lsm-audit", scn: "41-scenarios",
}; // prettier-ignore

/** The report of a failed test: what is required, what was done, what was expected and seen. */
export function explain(failure: Failure): string {
  const required = failure.requirements.map((id) => {
    const row = requirement(id);
    const document = DOCUMENTS[areaOf(row.id)];
    const generations = row.generations === undefined ? "" : `, generation ${row.generations.join(", ")}`;
    return `  ${id} (${row.level}${generations}; source: ${row.source})\n    ${row.text}\n    In the specification: ${document}, and ${row.id} of its catalogue\n    How to verify: ${row.verify}`;
  });
  const facts = Object.entries(failure.facts).map(([name, value]) => `  ${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const operations = failure.transcript.toString();
  return [
    `Test      ${failure.title}`,
    `File      ${failure.file}`,
    `Target    ${failure.target}`,
    "",
    "Required",
    ...(required.length > 0 ? required : ["  (this test covers no requirement)"]),
    "",
    "Expected and seen",
    ...failure.errors.map((error) => `  ${inWords(stripColours(error)).replace(/\n/g, "\n  ")}`),
    "",
    "Done (in the order in which it ended)",
    operations === "" ? "  (no bus operation)" : operations,
    "",
    "Facts about the target",
    ...(facts.length > 0 ? facts : ["  (none known)"]),
    "",
  ].join("\n");
}

/** An operation that failed where the test needs it to work says only what was seen. */
function inWords(error: string): string {
  return error.replace(/^BusError: (.+) failed with (E[A-Z0-9]+)(?=\n|$)/, "$1\n  Expected: success\n  Received: $2");
}

export function stripColours(text: string): string {
   
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}
