import type { KernelEvent } from "../../record/v1.ts";
import { kernelLines, type KernelLine } from "./lines.ts";
import { bareFunction, CONSOLE_RULES, CUT_HERE, normalise, REPORTERS, type ConsoleRule } from "./rules.ts";

/** Pages of task dump are evidence elsewhere; an event carries what a reader needs first. */
const EXCERPT_LINES = 120;
/** A report is printed in one go; a later record is about something else. Generous: a debug kernel under emulation prints slowly. */
const REPORT_GAP_SECONDS = 5;

interface Report {
  readonly rule: ConsoleRule;
  readonly match: RegExpExecArray;
  readonly lines: KernelLine[];
  ended: boolean;
}

/**
 * Kernel reports on a console, in order, each crash once: what follows from the first report of a crash (the oops behind
 * a BUG, the panic behind an oops) is part of it.
 * @param baseOffset added to the byte offsets, when `console` does not begin at the beginning of the log
 */
export function scanConsole(console: Uint8Array | string, baseOffset = 0): KernelEvent[] {
  const reports: Report[] = [];
  let open: Report | undefined;
  let lead: KernelLine[] = []; // `cut here` and the message between it and the line that tells the kind
  for (const line of kernelLines(typeof console === "string" ? Buffer.from(console) : console)) {
    const last: KernelLine | undefined = open?.lines.at(-1) ?? lead.at(-1);
    if (last !== undefined && line.seconds - last.seconds > REPORT_GAP_SECONDS) {
      open = undefined;
      lead = [];
    }
    if (CUT_HERE.test(line.text) && (open === undefined || open.ended || !absorbsMore(open.rule))) {
      open = undefined;
      lead = [line];
      continue;
    }
    const opened = openReport(line);
    if (opened !== undefined && open?.rule.absorbs.includes(opened.rule.kind) !== true) {
      opened.lines.unshift(...lead);
      lead = [];
      reports.push(opened);
      open = opened;
      continue;
    }
    if (open === undefined) {
      if (lead.length > 0 && lead.length < 4) lead.push(line);
      continue;
    }
    if (opened === undefined && open.ended) {
      // behind its end a report is only kept open for what it absorbs: the panic that follows an oops
      if (/^-+\[ end |^Kernel panic|^Kernel Offset|^Rebooting/.test(line.text)) open.lines.push(line);
      continue;
    }
    if (opened !== undefined) open.ended = false;
    open.lines.push(line);
    if (open.rule.end?.test(line.text) === true) open.ended = true;
  }
  return reports.map((report) => toEvent(report, baseOffset));
}

function absorbsMore(rule: ConsoleRule): boolean {
  return rule.absorbs.includes("bug") || rule.absorbs.includes("warn");
}

function openReport(line: KernelLine): Report | undefined {
  for (const rule of CONSOLE_RULES) {
    const match = rule.start.exec(line.text);
    if (match !== null) return { rule, match, lines: [line], ended: rule.end?.test(line.text) === true };
  }
  return undefined;
}

function toEvent(report: Report, baseOffset: number): KernelEvent {
  const { rule, match, lines } = report;
  const subject = rule.subject?.(match) ?? normalise(match[1] ?? match[0]);
  const culprits = rule.from === "trace" ? traceFunctions(lines).slice(0, 3) : rule.from === "locks" ? lockNames(lines) : [];
  const opening = lines.find((line) => rule.start.test(line.text)) ?? lines[0];
  // WARN() with a text prints it between the cut and the line that names the place
  const warning = lines.slice(0, opening === undefined ? 0 : lines.indexOf(opening)).map((line) => line.text.trim()).filter((text) => !CUT_HERE.test(text));
  return {
    kind: rule.kind,
    fingerprint: `${rule.kind}: ${subject}${culprits.length === 0 ? "" : ` [${culprits.join(" < ")}]`}`,
    title: [opening?.text.trim() ?? subject, ...warning].join(": "),
    consoleOffset: baseOffset + (lines[0]?.offset ?? 0),
    excerpt: lines
      .slice(0, EXCERPT_LINES)
      .map((line) => line.text)
      .join("\n"),
  };
}

/** Who was running, innermost first: from RIP (pc on ARM) and the first call trace, without guesses and reporting code. */
export function traceFunctions(lines: readonly Pick<KernelLine, "text">[]): string[] {
  const found: string[] = [];
  let tracing = false;
  let traced = false;
  for (const { text } of lines) {
    const counter = /^(?:RIP: [0-9a-f]{4}:|pc : )([\w.]+)\+0x/i.exec(text)?.[1];
    if (counter !== undefined && !traced) push(found, counter);
    if (/^ *(?:Call [Tt]race:|backtrace(?: \(.*\))?:)/.test(text)) {
      if (traced) break; // the traces behind the first are of other tasks, or of how an object was allocated and freed
      tracing = true;
      continue;
    }
    if (!tracing) continue;
    const frame = /^ *(?:\[<[0-9a-f(ptrval)]+>\] ?)?(\? )?([\w.]+)\+0x[0-9a-f]+\/0x[0-9a-f]+/.exec(text);
    if (frame !== null) {
      traced = true;
      if (frame[1] === undefined) push(found, frame[2] ?? "");
    } else if (traced && !/^ *<\/?(?:TASK|IRQ|NMI|SOFTIRQ|#\w+)>/.test(text) && !/^(?:RIP|RSP|RAX|RDX|RBP|R10|R13|Code|pc|sp|x\d+)\b/.test(text.trim())) {
      tracing = false;
    }
  }
  return found;
}

function push(found: string[], symbol: string): void {
  const name = bareFunction(symbol);
  if (name !== "" && !REPORTERS.test(name) && found.at(-1) !== name) found.push(name);
}

/** Lock classes named in a lock report, each once, sorted: two runs may meet the same cycle from either side. */
function lockNames(lines: readonly KernelLine[]): string[] {
  const names = new Set<string>();
  for (const { text } of lines) {
    if (/^stack backtrace:/.test(text)) break;
    const name = /^ *(?:#\d+: *)?(?:[0-9a-f]{8,16} )?\(((?:[^()]|\([^()]*\))+)\)\{[^}]*\}/.exec(text)?.[1];
    if (name !== undefined) names.add(name.replace(/\/\d+$/, ""));
    const unlock = /^\S+\/\d+ is trying to release lock \(([^)]+)\) at:/.exec(text)?.[1];
    if (unlock !== undefined) names.add(unlock);
  }
  return [...names].sort();
}
