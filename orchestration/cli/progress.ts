import type { Progress, Step } from "../base/progress.ts";

interface Node {
  readonly title: string;
  readonly depth: number;
  readonly startedMs: number;
  message: string;
  fraction: number | undefined;
  ended: boolean;
}

const REDRAW_MS = 100;
const HEARTBEAT_MS = 15_000;

/** Progress on stderr: a live block on a terminal, plain lines elsewhere. Ends with {@link close}. */
export class ConsoleProgress implements Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #live: boolean;
  readonly #running = new Set<Node>();
  readonly #timer: NodeJS.Timeout;
  readonly #started = performance.now();
  #drawn = 0;

  constructor(out: NodeJS.WriteStream = process.stderr, live = out.isTTY && process.env["CI"] === undefined) {
    this.#out = out;
    this.#live = live;
    this.#timer = setInterval(() => (this.#live ? this.#draw() : this.#heartbeat()), live ? REDRAW_MS : HEARTBEAT_MS);
    this.#timer.unref();
  }

  step(title: string): Step {
    return this.#add(title, 0);
  }

  /** A line that stays. */
  say(line: string): void {
    this.#erase();
    this.#out.write(`${line}\n`);
    this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #add(title: string, depth: number): Step {
    const node: Node = { title, depth, startedMs: performance.now(), message: "", fraction: undefined, ended: false };
    this.#running.add(node);
    if (!this.#live) this.#line(node, "...");
    let lastPlain = performance.now();
    const end = (mark: string, outcome: string): void => {
      if (node.ended) return;
      node.ended = true;
      this.#running.delete(node);
      this.#erase();
      this.#line(node, `${mark} ${outcome}`.trim());
      this.#draw();
    };
    return {
      step: (inner) => this.#add(inner, depth + 1),
      update: (message, fraction) => {
        node.message = message;
        node.fraction = fraction;
        if (!this.#live && performance.now() - lastPlain > HEARTBEAT_MS) {
          lastPlain = performance.now();
          this.#line(node, describe(node));
        }
      },
      done: (outcome = "done") => end("ok", outcome),
      fail: (reason) => end("FAILED", reason),
    };
  }

  #line(node: Node, text: string): void {
    const since = ((performance.now() - this.#started) / 1000).toFixed(1).padStart(7);
    this.#out.write(`${since}s ${"  ".repeat(node.depth)}${node.title} ${text}${node.ended ? ` (${seconds(node)})` : ""}\n`);
  }

  #heartbeat(): void {
    const deepest = [...this.#running].at(-1);
    if (deepest !== undefined && performance.now() - deepest.startedMs > HEARTBEAT_MS) this.#line(deepest, describe(deepest));
  }

  #draw(): void {
    if (!this.#live) return;
    this.#erase();
    const width = this.#out.columns;
    const lines = [...this.#running].map((node) => `${"  ".repeat(node.depth)}${bar(node.fraction)} ${node.title} ${describe(node)}`.slice(0, width - 1));
    if (lines.length > 0) this.#out.write(`${lines.join("\n")}\n`);
    this.#drawn = lines.length;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }
}

function describe(node: Node): string {
  const percent = node.fraction === undefined ? "" : `${Math.floor(node.fraction * 100)} % `;
  return `${percent}${node.message} ${seconds(node)}`.trim();
}

function seconds(node: Node): string {
  return `${((performance.now() - node.startedMs) / 1000).toFixed(1)} s`;
}

function bar(fraction: number | undefined): string {
  const width = 16;
  if (fraction === undefined) return `[${"·".repeat(width)}]`;
  const full = Math.max(0, Math.min(width, Math.round(fraction * width)));
  return `[${"#".repeat(full)}${"·".repeat(width - full)}]`;
}
