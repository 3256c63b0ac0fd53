import { mkdir, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Limits } from "../base/deadline.ts";
import { digestOf } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { areaOfTest } from "../plan/test-id.ts";
import type { KernelEvent, RecordOf } from "../record/v1.ts";
import type { ConnectAgent } from "./guest-agent.ts";
import { sizeOf } from "./console-file.ts";
import { endedAlready, eventsBetween, inspectMachine } from "./inspect.ts";
import { keepMachine } from "./kept.ts";
import type { LeaseGrant, LeaseReport } from "./lease.ts";
import type { Machine } from "./machine.ts";
import { servePool } from "./pool-server.ts";
import { ReadyClones } from "./ready-clones.ts";
import { socketDirOf } from "./run-name.ts";
import { makeSocketDir } from "./socket-dir.ts";
import type { Template } from "./template.ts";

export type LeaseFields = Pick<RecordOf<"lease">, "type" | "target" | "test" | "machine" | "events" | "death" | "consoleRead" | "unasked" | "heldMs">;

/** What the pool needs of a template. */
export type PooledTemplate = Pick<Template, "clone" | "target" | "taint" | "probes" | "decoder"> &
  Partial<Pick<Template, "frozen" | "source">> & {
    /** There is one machine: it is not prepared for a test before the test ahead has given it back. */
    readonly single?: boolean;
  };

export interface PoolOptions {
  readonly templates: ReadonlyMap<string, PooledTemplate>;
  /** Templates with several processors, by target, with what is different in the facts of their machines; for tests that ask for one. */
  readonly parallel?: ReadonlyMap<string, { readonly template: PooledTemplate; readonly facts: Readonly<Record<string, unknown>> }>;
  /** Facts of each target, handed to every lease of it. */
  readonly facts: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** Leases at a time; default: one a core. */
  readonly slots?: number;
  /** Evidence folders and running machines live below it. */
  readonly runDir: string;
  readonly runId: string;
  /** Tells its machines from those of other pools of the run; none or empty for the only one. */
  readonly name?: string;
  readonly limits: Limits;
  readonly connectAgent: ConnectAgent;
  /** Appends the record of an ended lease; awaited before the worker gets its answer, so that nothing told is lost. */
  readonly appendRecord: (fields: LeaseFields) => Promise<void>;
  /** Machines of the first failed tests of a target that are kept, for `reopen`; default: none. */
  readonly keep?: number;
  /** What a clone's kernel said before any test had it. */
  readonly onTargetEvents?: (target: string, events: readonly KernelEvent[]) => void;
}

export interface Pool extends AsyncDisposable {
  /** For BUSLAB_POOL. */
  readonly socketPath: string;
  /** Ends every lease and every machine; nothing is left running. */
  close(): Promise<void>;
}

interface Lease {
  readonly id: string;
  readonly template: PooledTemplate;
  readonly owner: object;
  readonly target: string;
  readonly test: string;
  readonly machine: Machine;
  readonly dir: string;
  readonly evidenceDir: string;
  readonly fromOffset: number;
  readonly taint: number;
  readonly startedMs: number;
  ending?: Promise<LeaseReport>;
}

/** Starts the machine pool of a run. It lives in the process of `run`: workers come and go, the pool stays. */
export async function startPool(options: PoolOptions): Promise<Pool> {
  const pool = new MachinePool(options);
  const name = options.name ?? "";
  const socketPath = join(await makeSocketDir(options.runId), `pool${name}`);
  const server = await servePool(socketPath, pool);
  pool.prefill();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      await pool.end();
      await server.close();
      // a pool with a name has neighbours; whoever started them clears up behind all of them
      if (name === "") await rm(socketDirOf(options.runId), { recursive: true, force: true });
    })());
  return { socketPath, close, [Symbol.asyncDispose]: close };
}

class MachinePool {
  readonly #options: PoolOptions;
  /** Folders of the machines that run. */
  readonly #machines: string;
  readonly #slots: number;
  readonly #ready = new Map<string, ReadyClones>();
  readonly #parallel = new Map<string, ReadyClones>();
  readonly #leases = new Map<string, Lease>();
  readonly #queue: { owner: object; grant: () => void; refuse: (error: SuiteError) => void }[] = [];
  readonly #stop = new AbortController();
  readonly #kept = new Map<string, number>();
  readonly #evidenceNames = new Map<string, number>();
  #busy = 0;
  #labels = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#machines = join(options.runDir, `machines${options.name ?? ""}`);
    this.#slots = Math.max(1, options.slots ?? availableParallelism());
    for (const [target, template] of options.templates) this.#ready.set(target, this.#clones(template, template.single === true ? 0 : this.#slots));
    // few tests ask for these: they are not made ahead of need
    for (const [target, { template }] of options.parallel ?? []) this.#parallel.set(target, this.#clones(template, 0));
  }

  #clones(template: PooledTemplate, ahead: number): ReadyClones {
    const nextLabel = (): string => `${this.#options.name ?? ""}m${++this.#labels}`;
    return new ReadyClones({ template, dir: this.#machines, runId: this.#options.runId, ahead, nextLabel, signal: this.#stop.signal });
  }

  prefill(): void {
    this.#ready.values().next().value?.fill();
  }

  async lease(owner: object, target: string, test: string, parallel: boolean): Promise<LeaseGrant> {
    const variant = parallel ? this.#options.parallel?.get(target) : undefined;
    const ready = (variant === undefined ? this.#ready : this.#parallel).get(target);
    const template = variant?.template ?? this.#options.templates.get(target);
    if (ready === undefined || template === undefined) throw new SuiteError("TARGET_UNKNOWN", `the machine pool has no template of ${target}`);
    await this.#slot(owner);
    try {
      const { machine, dir, readyMs, taint = template.taint } = await ready.take();
      if (this.#gone.has(owner) || this.#stop.signal.aborted) {
        await this.#discard(machine, dir);
        throw new SuiteError("VM_POOL_CLOSED", "whoever asked for the machine is gone");
      }
      const evidenceDir = await this.#evidenceFor(target, test);
      await machine.moveConsole(join(evidenceDir, "console.log"));
      const fromOffset = await sizeOf(machine.consoleLog);
      const early = await eventsBetween(machine, 0);
      if (early !== undefined && early.length > 0) this.#options.onTargetEvents?.(target, early);
      const lease: Lease = { id: machine.name, template, owner, target, test, machine, dir, evidenceDir, fromOffset, taint, startedMs: performance.now() };
      this.#leases.set(lease.id, lease);
      return { lease: lease.id, agentSocket: machine.agentSocket, consoleLog: machine.consoleLog, evidenceDir, readyMs, facts: { ...this.#options.facts.get(target), ...variant?.facts } };
    } catch (error) {
      this.#freeSlot();
      throw error;
    }
  }

  async release(owner: object, id: string, keepEvidence: boolean): Promise<LeaseReport> {
    const lease = this.#leaseOf(owner, id);
    // before the agent is asked anything: its next client ends the test's processes
    if (keepEvidence && lease.ending === undefined) await this.#keep(lease);
    return this.#end(lease, keepEvidence);
  }

  async inspect(owner: object, id: string): Promise<LeaseReport> {
    const { machine, fromOffset } = this.#leaseOf(owner, id);
    const events = await eventsBetween(machine, fromOffset);
    return { events: events ?? [], death: await endedAlready(machine), consoleRead: events !== undefined };
  }

  async killQemu(owner: object, id: string): Promise<void> {
    const { machine } = this.#leaseOf(owner, id);
    machine.murder();
    await machine.dead;
  }

  readonly #gone = new WeakSet<object>();

  gone(owner: object): void {
    this.#gone.add(owner);
    for (const waiting of this.#queue.splice(0)) {
      if (waiting.owner === owner) waiting.refuse(new SuiteError("VM_POOL_CLOSED", "whoever asked for the machine is gone"));
      else this.#queue.push(waiting);
    }
    for (const lease of this.#leases.values()) {
      if (lease.owner === owner) void this.#end(lease, true).catch(() => undefined);
    }
  }

  async end(): Promise<void> {
    this.#stop.abort();
    for (const { refuse } of this.#queue.splice(0)) refuse(new SuiteError("VM_POOL_CLOSED", "the machine pool is closed"));
    await Promise.all([...this.#leases.values()].map((lease) => this.#end(lease, true).catch(() => undefined)));
    await Promise.all([...this.#ready.values(), ...this.#parallel.values()].map((ready) => ready.drain()));
    await rm(this.#machines, { recursive: true, force: true }).catch(() => undefined);
  }

  #leaseOf(owner: object, id: string): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.owner !== owner) throw new SuiteError("INTERNAL", `${id} is no lease of this connection`);
    return lease;
  }

  /** Ends a lease once, however often it is asked: by its worker, by the worker's death, by the end of the pool. */
  #end(lease: Lease, keepEvidence: boolean): Promise<LeaseReport> {
    return (lease.ending ??= this.#endOnce(lease, keepEvidence));
  }

  async #endOnce(lease: Lease, keepEvidence: boolean): Promise<LeaseReport> {
    const { machine, target, test, template } = lease;
    const heldMs = performance.now() - lease.startedMs;
    try {
      const found = await inspectMachine({
        machine,
        target,
        test,
        probes: template.probes ?? [],
        fromOffset: lease.fromOffset,
        taint: lease.taint,
        mark: lease.id,
        limits: this.#options.limits,
        connectAgent: this.#options.connectAgent,
        evidenceDir: lease.evidenceDir,
        keepEvidence,
      });
      const report: LeaseReport = { ...found, events: [...((await template.decoder?.decode(found.events)) ?? found.events)] };
      await this.#options.appendRecord({ type: "lease", target, test, machine: machine.name, heldMs, ...report });
      await machine.kill();
      const clean = report.events.length === 0 && report.death === null && report.consoleRead && report.unasked === undefined;
      if (clean && !keepEvidence) await rm(lease.evidenceDir, { recursive: true, force: true });
      return report;
    } finally {
      this.#leases.delete(lease.id);
      await this.#discard(machine, lease.dir);
      this.#freeSlot();
    }
  }

  async #keep({ machine, target, test, evidenceDir, template }: Lease): Promise<void> {
    const { frozen } = template;
    const kept = this.#kept.get(target) ?? 0;
    // a canary fails on purpose: it would take the place of a test that somebody wants to look into
    if (frozen === undefined || areaOfTest(test) === "canary" || kept >= (this.#options.keep ?? 0) || (await endedAlready(machine)) !== null) return;
    this.#kept.set(target, kept + 1);
    const failure = await keepMachine(this.#options.runDir, machine, { frozen }, { target, test }, this.#options.limits);
    if (failure !== null) await writeFile(join(evidenceDir, "not-kept.txt"), `${failure}\n`).catch(() => undefined);
  }

  async #discard(machine: Machine, dir: string): Promise<void> {
    await machine.kill();
    await rm(dir, { recursive: true, force: true }).catch(() => undefined);
  }

  #slot(owner: object): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.reject(new SuiteError("VM_POOL_CLOSED", "the machine pool is closed"));
    if (this.#busy < this.#slots) {
      this.#busy += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => this.#queue.push({ owner, grant: resolve, refuse: reject }));
  }

  #freeSlot(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#busy -= 1;
    else next.grant(); // the slot goes over
  }

  async #evidenceFor(target: string, test: string): Promise<string> {
    const name = `${slug(target)}/${slug(test)}-${digestOf(test).slice(7, 13)}`;
    const before = this.#evidenceNames.get(name) ?? 0;
    this.#evidenceNames.set(name, before + 1);
    const dir = join(this.#options.runDir, "evidence", before === 0 ? name : `${name}-${before + 1}`);
    await mkdir(dir, { recursive: true });
    return dir;
  }
}

function slug(text: string): string {
  return text.replace(/[^\w.-]+/g, "-").slice(0, 80);
}
