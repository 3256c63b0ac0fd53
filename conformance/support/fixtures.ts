import { mkdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { expect, test as base, type TestInfo } from "@playwright/test";
import { Limits } from "../../orchestration/base/deadline.ts";
import { asSuiteError, SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { AgentRefusal } from "../../orchestration/guest/channel.ts";
import type { SpawnOptions } from "../../orchestration/guest/spawn-options.ts";
import { areaOfTest, testId } from "../../orchestration/plan/test-id.ts";
import { CPUS_ANNOTATION, EVIDENCE_ANNOTATION, REQUIREMENT_ANNOTATION } from "../../orchestration/record/annotations.ts";
import type { LeaseGrant } from "../../orchestration/vm/lease.ts";
import { PoolClient } from "../../orchestration/vm/pool-client.ts";
import { GENERATIONS, isRequirementId, type Generation } from "../catalogue/index.ts";
import { Domain, type Bus } from "./bus.ts";
import { guardConsole } from "./console-guard.ts";
import { enabledOptions, missingOptions } from "./kernel-needs.ts";
import { switchBug, tellReached } from "./derived-bugs.ts";
import { Process } from "./process.ts";
import { explain, stripColours, Transcript } from "./transcript.ts";
import { unsupported } from "./unsupported.ts";

export interface SuiteOptions {
  /** Target id; set by the project. */
  target: string;
}

/** A fresh machine, leased for this test alone. */
export interface LeasedMachine extends LeaseGrant {
  /** SIGKILL to its QEMU; for canaries. */
  killQemu(): Promise<void>;
}

/** Starts a further process in the guest; with other ids if asked. */
export type Spawn = (options?: SpawnOptions & { readonly label?: string }) => Promise<Process>;

export interface SuiteFixtures {
  /** What happened on the bus, in words; attached when the test fails. */
  transcript: Transcript;
  machine: LeasedMachine;
  agent: AgentClient;
  spawn: Spawn;
  /** A process of uid 0 with all capabilities. */
  root: Process;
  /** The kdbusfs mounted at /sys/fs/kdbus; new with each test, as the machine is. */
  domain: Domain;
  /** Mounts a further, empty domain. */
  mountDomain: (target?: string) => Promise<Domain>;
  /** The generation that the subject is judged by. */
  generation: Generation;
  /** A bus made by `root`, open to everybody. */
  bus: Bus;
}

/** `--peers 32`: the tests' processes are 32-bit programs on the 64-bit kernel. */
const PEERS_ARE_NARROW = process.env["BUSLAB_PEERS"] === "32";
const ENOEXEC = 8;
const NARROW_AGENT = "/usr/lib/buslab/agent-32";
const limits = new Limits(Number(process.env["BUSLAB_SLOWDOWN"] ?? "1"));
/** On hardware. The machine has answered its pool just before, so this is for a busy host. */
const AGENT_LIMIT_MS = 2_000;
const REQUEST_LIMIT_MS = 8_000;

interface SuiteWorkerFixtures {
  pool: PoolClient;
}

export const test = base.extend<SuiteOptions & SuiteFixtures, SuiteWorkerFixtures>({
  target: ["", { option: true }],

  pool: [
    async ({}, use) => {
      const path = process.env["BUSLAB_POOL"];
      if (path === undefined) throw new SuiteError("USAGE", "no machine pool: tests are started by `./buslab run`, not by the runner alone");
      const pool = await PoolClient.connect(path);
      await use(pool);
      await pool.close();
    },
    { scope: "worker", timeout: 60_000 },
  ],

  transcript: async ({}, use) => {
    await use(new Transcript());
  },

  machine: async ({ pool, target, transcript }, use, info) => {
    const cpus = Number(annotated(info, CPUS_ANNOTATION)[0] ?? 1);
    const grant = await pool.lease(target, idOf(info), cpus > 1);
    info.annotations.push({ type: EVIDENCE_ANNOTATION, description: grant.evidenceDir });
    try {
      await switchBug(grant, idOf(info));
      requireOptions(info, grant);
      // whoever tries planted bugs tells no number: there a test may fail by whatever it finds, and nothing is called conformant
      if (typeof grant.facts["cpus"] === "number" && grant.facts["cpus"] < cpus) unsupported(`${cpus} processors in the machine`);
      if (grant.facts["shared"] === true && areaOfTest(idOf(info)) === "lsm") unsupported("a machine for this test alone: it loads policy, which cannot be taken back");
      await use({ ...grant, killQemu: () => pool.killQemu(grant.lease) });
    } finally {
      await tellReached(grant, idOf(info));
      const failed = info.status !== info.expectedStatus;
      if (failed) await keepStory(info, grant, target, transcript);
      const report = await pool.release(grant.lease, failed);
      guardConsole(report);
    }
  },

  agent: async ({ machine }, use) => {
    const agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: limits.ms(AGENT_LIMIT_MS), requestTimeoutMs: limits.ms(REQUEST_LIMIT_MS) });
    await use(agent);
    await agent.close();
  },

  spawn: async ({ agent, transcript }, use) => {
    let count = 0;
    await use(async ({ label, ...options } = {}) => {
      const peer = await agent.spawnPeer(options.exec === undefined && PEERS_ARE_NARROW ? { ...options, exec: NARROW_AGENT } : options).catch(noNarrowPeers);
      return new Process(peer, transcript, label ?? `p${++count}`, options);
    });
  },

  root: async ({ spawn }, use) => {
    await use(await spawn({ label: "root" }));
  },

  domain: async ({ machine: _machine }, use) => {
    await use(new Domain("/sys/fs/kdbus"));
  },

  mountDomain: async ({ agent }, use) => {
    let count = 0;
    await use(async (target = `/run/kdbus-${++count}`) => {
      await agent.mount({ source: "kdbusfs", target, type: "kdbusfs", makeTarget: true });
      return new Domain(target);
    });
  },

  generation: async ({ machine }, use) => {
    const known = GENERATIONS.find((name) => name === machine.facts["generation"]);
    if (known === undefined) throw new SuiteError("GENERATION_UNKNOWN", `the generation of the subject is "${String(machine.facts["generation"])}"`);
    await use(known);
  },

  bus: async ({ domain, root }, use) => {
    await use(await domain.makeBus(root));
  },
});

export { expect };

function idOf(info: TestInfo): string {
  return testId(info.file, info.titlePath.slice(1));
}

/** A kernel without what the test's requirements need is told so by name, before a failure that would tell it worse. */
function requireOptions(info: TestInfo, grant: LeaseGrant): void {
  const config = grant.facts["kernelConfig"];
  if (typeof config !== "string") return; // a machine that is not ours to boot tells nothing of its kernel
  const [first, ...more] = missingOptions(requirementsOf(info), enabledOptions(config));
  if (first !== undefined) unsupported(first, ...more);
}

function noNarrowPeers(error: unknown): never {
  if (PEERS_ARE_NARROW && error instanceof AgentRefusal && error.errno === ENOEXEC) unsupported("32-bit programs in the kernel (CONFIG_IA32_EMULATION or CONFIG_COMPAT)");
  throw error;
}

function requirementsOf(info: TestInfo): string[] {
  return annotated(info, REQUIREMENT_ANNOTATION);
}

function annotated(info: TestInfo, type: string): string[] {
  return info.annotations.filter((note) => note.type === type).map((note) => note.description ?? "");
}

/** Writes the explanation of the failure where people and the runner's reporters find it. */
async function keepStory(info: TestInfo, grant: LeaseGrant, target: string, transcript: Transcript): Promise<void> {
  const requirements = requirementsOf(info);
  const text = explain({
    title: info.title,
    file: `${relative(ROOT, info.file)}:${info.line}`,
    target,
    requirements: requirements.filter(isRequirementId),
    errors: info.errors.map((error) => stripColours(error.message ?? error.value ?? "unknown error")),
    facts: grant.facts,
    transcript,
  });
  await info.attach("explanation", { body: text, contentType: "text/plain" });
  try {
    await mkdir(grant.evidenceDir, { recursive: true });
    await writeFile(join(grant.evidenceDir, "explanation.txt"), text);
  } catch (error) {
    throw asSuiteError(error);
  }
}
