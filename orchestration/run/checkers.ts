import { gunzipSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { SuiteError } from "../base/errors.ts";
import type { AgentClient } from "../guest/agent-client.ts";
import type { Template } from "../vm/template.ts";
import { parseConfig } from "../../vm-images/kernel/config.ts";
import { inClone, type CloneContext } from "./one-clone.ts";

interface Checker {
  readonly name: string;
  /** Options that the running kernel says it has. */
  readonly config: readonly string[];
  /** A file by which it shows that it is at work just now. */
  readonly alive?: { readonly path: string; readonly sign: RegExp };
  /** It refuses this write when it has turned itself off. */
  readonly accepts?: { readonly path: string; readonly text: string };
  /** Text that the compiler leaves in a module it watches. */
  readonly inModule?: string;
}

/** What a debug target promises to look for. Each has a canary as well, which proves that it is heard. */
const CHECKERS: readonly Checker[] = [
  { name: "KASAN", config: ["CONFIG_KASAN_GENERIC", "CONFIG_KASAN_VMALLOC"], inModule: "__asan_" },
  { name: "UBSAN", config: ["CONFIG_UBSAN_BOUNDS", "CONFIG_UBSAN_SHIFT"] },
  { name: "lockdep", config: ["CONFIG_PROVE_LOCKING", "CONFIG_DEBUG_LOCK_ALLOC"], alive: { path: "/proc/lockdep_stats", sign: /^ *debug_locks: +1$/m } },
  { name: "PROVE_RCU", config: ["CONFIG_PROVE_RCU"] },
  { name: "DEBUG_ATOMIC_SLEEP", config: ["CONFIG_DEBUG_ATOMIC_SLEEP"] },
  { name: "DEBUG_LIST", config: ["CONFIG_DEBUG_LIST"] },
  { name: "DEBUG_OBJECTS", config: ["CONFIG_DEBUG_OBJECTS_FREE", "CONFIG_DEBUG_OBJECTS_TIMERS", "CONFIG_DEBUG_OBJECTS_WORK"], alive: { path: "/sys/kernel/debug/debug_objects/stats", sign: /^max_chain/m } },
  // "scan=off" stops the scans by the clock that there are none of; a kmemleak without memory for itself refuses it
  { name: "kmemleak", config: ["CONFIG_DEBUG_KMEMLEAK"], accepts: { path: "/sys/kernel/debug/kmemleak", text: "scan=off" } },
];

/**
 * Asks a machine of a debug target whether everything it is to look for is switched on.
 * @param moduleKo null for a module that is part of the kernel: what watches the one watches the other
 * @returns a line for each checker, for the records
 * @throws CHECKERS_OFF naming each that is not: silence of such a kernel would prove nothing
 */
export async function requireCheckers(template: Pick<Template, "clone">, moduleKo: string | null, ctx: CloneContext): Promise<Readonly<Record<string, string>>> {
  const module = moduleKo === null ? null : await readFile(moduleKo);
  const found = await inClone(template, "checkers", ctx, async (agent) => {
    const config = parseConfig(gunzipSync(await agent.readFile("/proc/config.gz")).toString("latin1"));
    const entries: (readonly [string, { readonly on: boolean; readonly says: string }])[] = [];
    for (const checker of CHECKERS) entries.push([checker.name, await ask(checker, config, module, agent)]);
    return entries;
  });
  const off = found.filter(([, { on }]) => !on);
  if (off.length > 0) throw new SuiteError("CHECKERS_OFF", `${off.length} checkers of the debug kernel are not at work: ${off.map(([name, { says }]) => `${name} (${says})`).join(", ")}`);
  return Object.fromEntries(found.map(([name, { says }]) => [name, says]));
}

/** Exported for its test. */
export async function ask(checker: Checker, config: ReadonlyMap<string, string>, module: Uint8Array | null, agent: Pick<AgentClient, "readText" | "writeFile">): Promise<{ readonly on: boolean; readonly says: string }> {
  const absent = checker.config.filter((symbol) => config.get(symbol) !== "y");
  if (absent.length > 0) return { on: false, says: `${absent.join(", ")} is not set` };
  const { alive, accepts, inModule } = checker;
  const problem = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  if (alive !== undefined) {
    const text = await agent.readText(alive.path).catch(problem);
    if (!alive.sign.test(text)) return { on: false, says: `${alive.path} does not show ${alive.sign.source}` };
  }
  if (accepts !== undefined) {
    const refusal = await agent.writeFile(accepts.path, accepts.text, { control: true }).then(() => undefined, problem);
    if (refusal !== undefined) return { on: false, says: `${accepts.path} refuses "${accepts.text}": ${refusal}` };
  }
  if (inModule !== undefined && module !== null && !Buffer.from(module).includes(inModule)) return { on: false, says: `the module is not compiled for it, it has no ${inModule}` };
  return { on: true, says: `on: ${checker.config.join(", ")}${alive === undefined ? "" : `; ${alive.path}`}${accepts === undefined ? "" : `; ${accepts.path} takes commands`}${inModule === undefined || module === null ? "" : "; in the module as well"}` };
}
