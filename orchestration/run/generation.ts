import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { decodeItems, decodeStruct, decodeWords } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item, negotiating } from "../../fixtures/abi/encode.ts";
import { COMMANDS, ITEM } from "../../fixtures/abi/constants.ts";
import { STRUCTS } from "../../fixtures/abi/layout.ts";
import { Domain } from "../../conformance/support/bus.ts";
import { BusError } from "../../conformance/support/errno.ts";
import { Process } from "../../conformance/support/process.ts";
import { Transcript } from "../../conformance/support/transcript.ts";
import { Limits } from "../base/deadline.ts";
import { asSuiteError } from "../base/errors.ts";
import { AgentClient } from "../guest/agent-client.ts";
import type { KernelEvent } from "../record/v1.ts";
import { scanConsole } from "../vm/console/scan.ts";
import type { Template } from "../vm/template.ts";
import { requireLsm } from "./lsm.ts";
import type { CloneContext } from "./one-clone.ts";
import type { GenerationFinding } from "./run.ts";

type Generation = "2015-03" | "2015-08";

/** Items whose meaning differs: 13, ATTACH_FLAGS_RECV, is taken by BUS_MAKE in one generation only. */
const ASKED = [BigInt(ITEM.ATTACH_FLAGS_SEND), BigInt(ITEM.ATTACH_FLAGS_RECV)] as const;

/**
 * Finds the generation of the bus in a machine of its own, by the two independent signs of the specification
 * (00-overview, section 4). A subject that gives no sign, or two that disagree, is `unknown`; a kernel that breaks while it
 * is asked is told by `events`. The security module that the target names is looked at first.
 * @throws LSM_NOT_IN_FORCE, and what cloning a machine throws
 */
export async function detectGeneration(template: Pick<Template, "clone" | "target">, ctx: CloneContext): Promise<GenerationFinding & { readonly events: readonly KernelEvent[] }> {
  const own = `generation${ctx.tag ?? ""}`;
  const dir = join(ctx.dir, own);
  await mkdir(dir, { recursive: true });
  const { machine } = await template.clone({ name: `buslab-${ctx.runId}-${own}`, dir });
  try {
    const limits = new Limits(ctx.slowdown);
    const agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: limits.ms(3_000), requestTimeoutMs: limits.ms(3_000) });
    await requireLsm(agent, template.target.lsm);
    const root = new Process(await agent.spawnPeer({}), new Transcript(), "generation", {});
    const domain = new Domain("/sys/fs/kdbus");
    const signs = { A: await described(() => signA(root, domain)), B: await described(() => signB(root, domain)) };
    await agent.close().catch(() => undefined);
    await machine.kill(); // then its console is complete
    const events = scanConsole(await readFile(machine.consoleLog));
    return { detected: agreed(signs.A, signs.B), signs, events };
  } finally {
    await machine.kill();
    await rm(dir, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Both signs or nothing. */
export function agreed(a: string, b: string): GenerationFinding["detected"] {
  return a === b && (a === "2015-03" || a === "2015-08") ? a : "unknown";
}

/** BUS_MAKE that only asks which items it would take. */
async function signA(root: Process, domain: Domain): Promise<Generation | string> {
  const command = encodeCommand("BUS_MAKE", { flags: negotiating() }, [item.bloomParameter(64, 1), item.makeName(`${root.euid}-x`), item.negotiate(ASKED)]);
  const fd = await root.open(domain.control);
  const { errno, bytes } = await root.command(fd, COMMANDS.BUS_MAKE, command);
  await root.close(fd);
  return errno === null ? readSignA(bytes) : `no sign, BUS_MAKE with NEGOTIATE fails with ${errno}`;
}

/** What the kernel made of the entries. Exported for its test. */
export function readSignA(bytes: Uint8Array): Generation | string {
  const start = STRUCTS.cmd.size;
  const entries = decodeItems(bytes, start, Number(decodeStruct("cmd", bytes).size)).find((each) => each.type === ITEM.NEGOTIATE);
  if (entries === undefined) return "no sign, the NEGOTIATE item is gone";
  const [send, recv] = decodeWords(entries.payload);
  if (send !== ASKED[0]) return `no sign, entry 12 became ${send}`;
  if (recv === ASKED[1]) return "2015-03";
  return recv === 0n ? "2015-08" : `no sign, entry 13 became ${recv}`;
}

/** MATCH_ADD with a DST_ID item. */
async function signB(root: Process, domain: Domain): Promise<Generation | string> {
  const bus = await domain.makeBus(root, { name: "generation" });
  const connection = await bus.connect();
  const plain = await connection.addMatch([]);
  await connection.removeMatch(plain);
  const errno = await connection.addMatch([item.dstId(connection.id)]).then(
    async (cookie) => {
      await connection.removeMatch(cookie);
      return null;
    },
    (error: unknown) => {
      if (error instanceof BusError) return error.errno;
      throw error;
    },
  );
  await bus.close();
  if (errno === null) return "2015-08";
  return errno === "EINVAL" ? "2015-03" : `no sign, MATCH_ADD with DST_ID fails with ${errno}`;
}

/** A sign that cannot be taken is no sign, and says why. */
async function described(take: () => Promise<string>): Promise<string> {
  try {
    return await take();
  } catch (error) {
    return `no sign, ${error instanceof BusError ? error.message : asSuiteError(error).message}`;
  }
}
