import type { KernelEvent } from "../record/v1.ts";
import { FuzzMachine, GUEST, type BatchResult, type FuzzContext } from "./machine.ts";
import { minimise, type Minimised } from "./minimise.ts";
import { encodePrograms, type Program } from "./program.ts";

export interface ReproduceOptions {
  /** Runs of a candidate before it is believed to be harmless; races need many. */
  readonly times: number;
  /** Time for the whole of it. */
  readonly budgetMs: number;
  readonly onTry?: (tries: number, programs: number, calls: number) => void;
}

/** Runs candidates in clones; a clone serves until its kernel has spoken. */
export class Reproducer implements AsyncDisposable {
  readonly #ctx: FuzzContext;
  #machine: FuzzMachine | undefined;

  constructor(ctx: FuzzContext) {
    this.#ctx = ctx;
  }

  async run(programs: readonly Program[], times: number): Promise<BatchResult["finding"]> {
    this.#machine ??= await FuzzMachine.start(this.#ctx);
    await this.#machine.agent.writeFile(GUEST.programs, encodePrograms(programs));
    const { finding } = await this.#machine.run(["replay", "--times", String(times), GUEST.programs], this.#ctx.limits.ms(20_000 + 100 * times * programs.length));
    if (finding !== undefined) await this.#drop();
    return finding;
  }

  /** The same for what only kmemleak sees. */
  async leaks(programs: readonly Program[], times: number): Promise<KernelEvent | undefined> {
    if ((await this.run(programs, times)) !== undefined || this.#machine === undefined) return undefined;
    const leak = await this.#machine.leaks(() => new Promise((resolve) => setTimeout(resolve, 6_000))); // kmemleak leaves younger objects alone
    await this.#drop();
    return leak;
  }

  /** Programs of a seed, as the guest makes them. */
  async generate(words: readonly string[], corpus: Uint8Array): Promise<Uint8Array> {
    this.#machine ??= await FuzzMachine.start(this.#ctx);
    const { agent } = this.#machine;
    await agent.writeFile(GUEST.corpus, corpus);
    await agent.writeFile(GUEST.programs, "");
    await agent.exec([GUEST.fuzzer, "generate", ...words, ...(corpus.length === 0 ? [] : ["--corpus", GUEST.corpus]), "--new", GUEST.programs]);
    return agent.readFile(GUEST.programs);
  }

  async show(programs: readonly Program[]): Promise<string> {
    this.#machine ??= await FuzzMachine.start(this.#ctx);
    await this.#machine.agent.writeFile(GUEST.programs, encodePrograms(programs));
    return (await this.#machine.agent.exec([GUEST.fuzzer, "show", GUEST.programs])).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drop();
  }

  async #drop(): Promise<void> {
    await this.#machine?.[Symbol.asyncDispose]();
    this.#machine = undefined;
  }
}

/** What belongs together although traces differ: the kind of report and its subject, without who called. */
export function sameFinding(a: KernelEvent, b: KernelEvent): boolean {
  const head = ({ kind, fingerprint }: KernelEvent): string => `${kind} ${fingerprint.split(" [")[0] ?? ""}`;
  return head(a) === head(b);
}

/**
 * Looks for the fewest programs among those that ran that show the finding again, and makes them small.
 * @param history the programs that ran in the machine, the last one where the kernel complained
 * @returns undefined when none of the tries showed it again
 */
export async function reproduce(event: KernelEvent, history: readonly Program[], reproducer: Reproducer, options: ReproduceOptions): Promise<Minimised | undefined> {
  const deadline = performance.now() + options.budgetMs;
  const leak = event.kind === "leak";
  let tries = 0;
  const fails = async (programs: readonly Program[], times: number): Promise<boolean> => {
    options.onTry?.(++tries, programs.length, programs.reduce((sum, { calls }) => sum + calls.length, 0));
    if (leak) {
      const found = await reproducer.leaks(programs, times);
      return found !== undefined && sameFinding(found, event);
    }
    const found = await reproducer.run(programs, times);
    return found !== undefined && sameFinding(found.event, event);
  };
  // a report may come late (RCU, a timer), and a state may be built up by many programs
  const windows = leak ? [history.length] : [1, 2, 5, 20, history.length];
  for (const size of windows.filter((one, n) => one <= history.length && (n === 0 || one !== windows[n - 1]))) {
    if (performance.now() > deadline) break;
    const times = size === 1 ? options.times * 2 : size >= 20 ? 2 : options.times;
    if (!(await fails(history.slice(-size), leak ? 1 : times))) continue;
    const result = await minimise(history.slice(-size), (programs) => fails(programs, leak ? 1 : programs.length >= 20 ? 2 : options.times), () => performance.now() < deadline);
    return { ...result, tries };
  }
  return undefined;
}
