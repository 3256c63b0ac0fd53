import { performance } from "node:perf_hooks";
import type { Progress } from "../base/progress.ts";
import { errnoName } from "../guest/errno.ts";
import type { KernelEvent } from "../record/v1.ts";
import { FuzzMachine, GUEST, type BatchResult, type BatchStats, type FuzzContext } from "./machine.ts";

export interface CampaignOptions {
  readonly seed: bigint;
  readonly durationMs: number;
  readonly slots: number;
  /** Programs that reached something new are kept and changed further. */
  readonly guided: boolean;
  /** A machine is thrown away after this long, so that its state does not grow for ever. */
  readonly machineMs: number;
  readonly onFinding: (found: Found) => Promise<void>;
}

/** A finding with what it takes to run the same programs again. */
export interface Found {
  readonly event: KernelEvent;
  readonly finding: NonNullable<BatchResult["finding"]>;
  /** Batches that this machine ran, the last one being where the kernel complained. */
  readonly batches: readonly Batch[];
  readonly console: Uint8Array;
  readonly afterMs: number;
}

export interface Batch {
  readonly first: number;
  readonly count: number;
  /** The corpus it drew from. */
  readonly corpus: Uint8Array;
}

export interface Totals {
  executed: number;
  machines: number;
  findings: number;
  late: number;
  injected: number;
  heldFaults: number;
  edges: number;
  blocks: number;
  corpus: number;
  leakScans: number;
  /** Time that batches ran, over all slots. */
  busyMs: number;
  commands: Record<string, [number, number]>;
  /** Refusals by command and error. */
  errors: Record<string, Record<string, number>>;
  /** Edges over time, for a curve. */
  readonly curve: { readonly ms: number; readonly executed: number; readonly edges: number }[];
}

const FIRST_COUNT = 20;
const BATCH_MS = 8_000;

/** One seed over some minutes: what it has covered and which programs led there. */
export class Campaign {
  readonly totals: Totals = { executed: 0, machines: 0, findings: 0, late: 0, injected: 0, heldFaults: 0, edges: 0, blocks: 0, corpus: 0, leakScans: 0, busyMs: 0, commands: {}, errors: {}, curve: [] };
  readonly #ctx: FuzzContext;
  readonly #options: CampaignOptions;
  #next = 0;
  #count = FIRST_COUNT;
  #corpus: Uint8Array = new Uint8Array();
  #seen: Uint8Array = new Uint8Array();
  #started = performance.now();
  #stopped = false;

  constructor(ctx: FuzzContext, options: CampaignOptions) {
    this.#ctx = ctx;
    this.#options = options;
  }

  get corpus(): Uint8Array {
    return this.#corpus;
  }

  /** Ends before the time is over; what runs comes to its end. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs until the time is over or the signal comes. @throws what machines throw that is nobody's finding */
  async run(progress: Progress): Promise<void> {
    this.#started = performance.now();
    const step = progress.step(`fuzzing with seed ${this.#options.seed}${this.#options.guided ? "" : ", unguided"}`);
    const ticker = setInterval(() => step.update(this.#describe(), (performance.now() - this.#started) / this.#options.durationMs), 2_000);
    try {
      await Promise.all(Array.from({ length: this.#options.slots }, () => this.#slot()));
      step.done(this.#describe());
    } catch (error) {
      step.fail(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      clearInterval(ticker);
    }
  }

  #over(): boolean {
    return this.#stopped || this.#ctx.signal.aborted || performance.now() - this.#started >= this.#options.durationMs;
  }

  async #slot(): Promise<void> {
    while (!this.#over()) {
      const found = await this.#machine().catch((error: unknown) => {
        if (this.#ctx.signal.aborted) return undefined;
        throw error;
      });
      if (found === undefined) continue;
      this.totals.findings += 1;
      await this.#options.onFinding(found);
    }
  }

  /** One machine from its clone to its finding, or to its age. */
  async #machine(): Promise<Found | undefined> {
    await using machine = await FuzzMachine.start(this.#ctx);
    this.totals.machines += 1;
    const until = performance.now() + this.#options.machineMs;
    const batches: Batch[] = [];
    const found = async (finding: NonNullable<BatchResult["finding"]>): Promise<Found> => ({
      event: finding.event,
      finding,
      batches,
      console: await machine.console(),
      afterMs: performance.now() - this.#started,
    });
    const step = async (): Promise<BatchResult["finding"]> => {
      const batch = { first: this.#next, count: this.#count, corpus: this.#options.guided ? this.#corpus : new Uint8Array() };
      this.#next += batch.count;
      batches.push(batch);
      return this.#batch(machine, batch, batches.length === 1);
    };
    while (!this.#over() && performance.now() < until) {
      const finding = await step();
      if (finding !== undefined) return await found(finding);
    }
    if (!machine.abilities.kmemleak || this.#ctx.signal.aborted || batches.length === 0) return undefined;
    this.totals.leakScans += 1;
    let late: BatchResult["finding"];
    const leak = await machine.leaks(async () => {
      late = await step(); // the time kmemleak wants between two scans is not lost
    });
    if (late !== undefined) return await found(late);
    return leak === undefined ? undefined : await found({ event: leak, mark: undefined, death: null });
  }

  async #batch(machine: FuzzMachine, batch: Batch, first: boolean): Promise<BatchResult["finding"]> {
    const { agent, abilities } = machine;
    if (abilities.kcov) {
      if (first) await agent.writeFile(GUEST.seen, this.#seen); // later batches go on with what the machine has
      await agent.writeFile(GUEST.fresh, "");
    }
    if (batch.corpus.length > 0) await agent.writeFile(GUEST.corpus, batch.corpus);
    const words = ["run", "--seed", String(this.#options.seed), "--first", String(batch.first), "--count", String(batch.count)];
    if (abilities.kcov) words.push("--seen", GUEST.seen, "--new", GUEST.fresh);
    if (batch.corpus.length > 0) words.push("--guided", "--corpus", GUEST.corpus);
    const began = performance.now();
    const { stats, finding } = await machine.run(words, this.#ctx.limits.ms(30_000 + 200 * batch.count));
    const tookMs = performance.now() - began;
    this.totals.busyMs += tookMs;
    if (stats === undefined || stats.stuck) {
      if (finding?.mark?.kind === "program") this.totals.executed += Math.max(0, finding.mark.index - batch.first + 1);
      return finding;
    }
    this.#tally(stats, tookMs);
    if (stats.covered) await this.#learn(machine, stats);
    return finding;
  }

  #tally(stats: BatchStats, tookMs: number): void {
    const { totals } = this;
    totals.executed += stats.executed;
    totals.late += stats.late;
    totals.injected += stats.injected;
    totals.heldFaults += stats.heldFaults;
    for (const [name, [tried, done]] of Object.entries(stats.commands)) {
      const sum = (totals.commands[name] ??= [0, 0]);
      sum[0] += tried;
      sum[1] += done;
    }
    for (const [name, errors] of Object.entries(stats.errors)) {
      const sums = (totals.errors[name] ??= {});
      for (const [number, count] of Object.entries(errors)) sums[errnoName(Number(number))] = (sums[errnoName(Number(number))] ?? 0) + count;
    }
    const wanted = (stats.executed * BATCH_MS) / Math.max(tookMs, 1);
    this.#count = Math.max(FIRST_COUNT, Math.min(5_000, Math.round((this.#count + wanted) / 2)));
  }

  /** Two machines may find the same at the same time: what is kept twice does no harm. */
  async #learn(machine: FuzzMachine, stats: BatchStats): Promise<void> {
    this.totals.curve.push({ ms: Math.round(performance.now() - this.#started), executed: this.totals.executed, edges: Math.max(this.totals.edges, stats.edges) });
    if (stats.fresh === 0) return;
    const seen = await machine.agent.readFile(GUEST.seen);
    if (this.#seen.length !== seen.length) this.#seen = seen;
    else this.#seen = seen.map((byte, n) => byte | (this.#seen[n] ?? 0));
    this.totals.edges = Math.max(this.totals.edges, stats.edges);
    this.totals.blocks = Math.max(this.totals.blocks, stats.blocks);
    this.#corpus = new Uint8Array(Buffer.concat([this.#corpus, await machine.agent.readFile(GUEST.fresh)]));
    this.totals.corpus += stats.fresh;
  }

  #describe(): string {
    const { executed, busyMs, edges, findings, corpus } = this.totals;
    const rate = busyMs === 0 ? 0 : (executed * 1000) / (performance.now() - this.#started);
    return `${executed} programs, ${rate.toFixed(1)}/s, ${edges} edges, corpus ${corpus}, ${findings} findings`;
  }
}
