import { readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { nowMs, race, type Limits } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import { AgentClient } from "../guest/agent-client.ts";
import type { KernelEvent, MachineDeath } from "../record/v1.ts";
import type { ConnectAgent } from "../vm/guest-agent.ts";
import { consoleSince, sizeOf } from "../vm/console-file.ts";
import { endedAlready, eventsBetween, inspectMachine } from "../vm/inspect.ts";
import type { Machine } from "../vm/machine.ts";
import type { Template } from "../vm/template.ts";
import { leaksOf } from "./leaks.ts";
import { lastMark, type Mark } from "./marks.ts";

const pair = z.tuple([z.int(), z.int()]);
const statsSchema = z.object({
  executed: z.int().default(0),
  ms: z.number().default(0),
  stuck: z.boolean(),
  covered: z.boolean().default(false),
  /** Programs that reached something new. */
  fresh: z.int().default(0),
  edges: z.int().default(0),
  blocks: z.int().default(0),
  /** Programs that had to be killed at their limit. */
  late: z.int(),
  injected: z.int(),
  heldFaults: z.int(),
  /** Tried and succeeded, by command. */
  commands: z.record(z.string(), pair),
  /** Refusals of each command, by number of the error. */
  errors: z.record(z.string(), z.record(z.string(), z.int())),
  ops: z.array(pair),
});
export type BatchStats = z.infer<typeof statsSchema>;

const abilitiesSchema = z.object({ faults: z.boolean(), kcov: z.boolean(), kmemleak: z.boolean() });
export type Abilities = z.infer<typeof abilitiesSchema>;

/** What one batch of programs did to the machine. */
export interface BatchResult {
  /** Undefined when the batch did not come to its end. */
  readonly stats: BatchStats | undefined;
  /** The first thing the kernel complained of, with the program that ran then. */
  readonly finding: { readonly event: KernelEvent; readonly mark: Mark | undefined; readonly death: MachineDeath | null } | undefined;
}

export interface FuzzContext {
  readonly template: Pick<Template, "clone" | "taint">;
  readonly runId: string;
  readonly target: string;
  readonly dir: string;
  readonly limits: Limits;
  readonly connectAgent: ConnectAgent;
  /** The guest's half, see vm-images/fuzzer. */
  readonly binary: string;
  readonly signal: AbortSignal;
}

export const GUEST = { fuzzer: "/run/buslab/fuzzer", corpus: "/run/buslab/corpus", seen: "/run/buslab/seen", fresh: "/run/buslab/fresh", programs: "/run/buslab/programs" } as const;
let labels = 0;
/** What one program may take on hardware, and at most. */
const PROGRAM_MS = 400;
const MOST_PROGRAM_MS = 15_000;

/** A clone that runs programs; good for as long as its kernel is silent. */
export class FuzzMachine implements AsyncDisposable {
  readonly machine: Machine;
  readonly agent: AgentClient;
  readonly abilities: Abilities;
  readonly dir: string;
  readonly #ctx: FuzzContext;
  readonly #release: () => void;
  #read = 0;

  private constructor(ctx: FuzzContext, machine: Machine, agent: AgentClient, abilities: Abilities, dir: string, release: () => void) {
    this.#ctx = ctx;
    this.machine = machine;
    this.agent = agent;
    this.abilities = abilities;
    this.dir = dir;
    this.#release = release;
  }

  /** @throws what cloning and the agent throw; GUEST_REFUSED when the fuzzer cannot run there */
  static async start(ctx: FuzzContext): Promise<FuzzMachine> {
    const label = `f${++labels}`;
    const dir = `${ctx.dir}/${label}`;
    const { machine } = await ctx.template.clone({ name: `buslab-${ctx.runId}-${label}`, dir, signal: ctx.signal });
    const abort = (): void => void machine.kill();
    ctx.signal.addEventListener("abort", abort, { once: true });
    if (ctx.signal.aborted) abort();
    const release = (): void => ctx.signal.removeEventListener("abort", abort);
    try {
      const agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: ctx.limits.ms(3_000), requestTimeoutMs: ctx.limits.ms(10_000) });
      await agent.writeFile(GUEST.fuzzer, await readFile(ctx.binary), { mode: 0o755 });
      const setup = await agent.exec([GUEST.fuzzer, "setup"]);
      if (setup.exitCode !== 0) throw new SuiteError("GUEST_REFUSED", `the fuzzer does not run in the guest: exit code ${setup.exitCode}`, { details: setup.stderr });
      const fuzz = new FuzzMachine(ctx, machine, agent, abilitiesSchema.parse(JSON.parse(setup.stdout)), dir, release);
      fuzz.#read = await sizeOf(machine.consoleLog);
      return fuzz;
    } catch (error) {
      release();
      await machine.kill();
      throw error;
    }
  }

  /**
   * Runs the fuzzer with these words and judges the kernel afterwards.
   * @throws VM_DIED when QEMU died without the guest's doing; GUEST_REFUSED when the fuzzer itself failed
   */
  async run(words: readonly string[], limitMs: number): Promise<BatchResult> {
    const death = this.machine.dead.then((end): never => {
      throw new SuiteError("VM_DIED", end.detail);
    });
    death.catch(() => undefined);
    let stats: BatchStats | undefined;
    const over = new AbortController();
    try {
      const running = this.agent.exec([GUEST.fuzzer, ...words, "--limit", String(Math.min(this.#ctx.limits.ms(PROGRAM_MS), MOST_PROGRAM_MS))], { timeoutMs: limitMs });
      running.catch(() => undefined);
      const exit = await race(Promise.race([running, this.#complaint(over.signal)]), { deadlineMs: limitMs + 10_000, code: "GUEST_TIMEOUT", what: `fuzzer ${words.join(" ")}`, death });
      if (exit !== undefined && !exit.timedOut) {
        if (exit.exitCode !== 0) throw new SuiteError("GUEST_REFUSED", `fuzzer ${words[0] ?? ""} ended with exit code ${exit.exitCode}`, { details: exit.stderr });
        stats = statsSchema.parse(JSON.parse(exit.stdout));
      }
    } catch (error) {
      if (this.#ctx.signal.aborted) throw error;
      const code = error instanceof SuiteError ? error.code : undefined;
      if (code === undefined || !["VM_DIED", "GUEST_TIMEOUT", "GUEST_LOST"].includes(code)) throw error;
    } finally {
      over.abort();
    }
    return { stats, finding: await this.#judge(stats) };
  }

  /** Resolves when the kernel complains: what the batch would still do is of no use then, and it may hang. */
  async #complaint(over: AbortSignal): Promise<undefined> {
    while (!over.aborted) {
      await delay(2_000, undefined, { signal: over }).catch(() => undefined);
      if (((await eventsBetween(this.machine, this.#read)) ?? []).length === 0) continue;
      await delay(2_000, undefined, { signal: over }).catch(() => undefined); // a report is printed line by line
      return undefined;
    }
    return undefined;
  }

  /** Two scans with `between` in the middle: kmemleak wants an object to look the same twice before it accuses it. */
  async leaks(between: () => Promise<void>): Promise<KernelEvent | undefined> {
    const file = "/sys/kernel/debug/kmemleak";
    const scan = async (): Promise<void> => {
      await this.agent.writeFile(file, "scan", { control: true, timeoutMs: this.#ctx.limits.ms(60_000) });
      this.#read = await sizeOf(this.machine.consoleLog); // it announces itself on the console
    };
    await scan();
    await between();
    await scan();
    const report = await this.agent.readText(file, { timeoutMs: this.#ctx.limits.ms(20_000) });
    return leaksOf(report);
  }

  /** The console so far: evidence. */
  async console(): Promise<Buffer> {
    return (await consoleSince(this.machine.consoleLog, 0)) ?? Buffer.alloc(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release();
    await this.agent.close().catch(() => undefined);
    await this.machine.kill();
    await rm(this.dir, { recursive: true, force: true }).catch(() => undefined);
  }

  async #judge(stats: BatchStats | undefined): Promise<BatchResult["finding"]> {
    const from = this.#read;
    let events = (await eventsBetween(this.machine, from)) ?? [];
    let death = await endedAlready(this.machine);
    if (stats === undefined || stats.stuck || death !== null) {
      await this.agent.close().catch(() => undefined); // one client at a time
      const inspected = await inspectMachine({
        machine: this.machine,
        target: this.#ctx.target,
        test: "fuzz",
        probes: [], // leaks are looked for on their own
        fromOffset: from,
        taint: this.#ctx.template.taint,
        mark: this.machine.name,
        limits: this.#ctx.limits,
        connectAgent: this.#ctx.connectAgent,
        evidenceDir: this.dir,
        keepEvidence: true,
      });
      ({ events, death } = inspected);
      if (death?.kind === "killed" || death?.kind === "qemu-failed") throw new SuiteError("VM_DIED", `${this.machine.name} ended: ${death.detail}`);
    }
    const console = await this.console();
    const [first] = events;
    if (first !== undefined) return { event: first, mark: lastMark(console, first.consoleOffset), death };
    const mark = lastMark(console);
    if (death !== null) return { event: silent("hung-task", `machine ${death.kind}`, death.detail), mark, death };
    if (stats?.stuck === true) return { event: silent("hung-task", "a killed program does not end", "a process of the fuzzer was killed and is still there a minute later"), mark, death };
    if (stats === undefined) return { event: silent("hung-task", "a batch does not end", `no answer of the fuzzer at ${new Date(nowMs()).toISOString().slice(11, 19)} of its time, while the machine answers`), mark, death };
    this.#read = console.length;
    return undefined;
  }
}

/** Something that the console did not tell by itself. */
function silent(kind: KernelEvent["kind"], what: string, detail: string): KernelEvent {
  return { kind, fingerprint: `${kind}: ${what}`, title: `${what}: ${detail}`, consoleOffset: -1, excerpt: detail };
}
