import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

/** What a canary needs of the guest agent. */
interface Agent {
  writeFile(path: string, data: Uint8Array | string, options?: { readonly control?: boolean; readonly timeoutMs?: number }): Promise<void>;
  insmod(path: string, options?: { readonly params?: string }): Promise<void>;
}

/** A word of fixtures/trouble; what each does stands there. */
export type Trouble = "warn" | "oops" | "lockup" | "garble" | "leak" | "uaf" | "overflow" | "deadlock" | "sleep" | "rcu" | "shift" | "bounds" | "list" | "object";

const MODULE = "/run/buslab_trouble.ko";
const DOOR = "/sys/module/buslab_trouble/parameters/do";

/** Brings the module that misbehaves on request into the guest. Its file is named by BUSLAB_TROUBLE_KO. */
export async function loadTrouble(agent: Agent, params = ""): Promise<void> {
  const path = process.env["BUSLAB_TROUBLE_KO"];
  if (path === undefined) throw new Error("BUSLAB_TROUBLE_KO is not set, so nothing can be planted");
  await agent.writeFile(MODULE, await readFile(path));
  await agent.insmod(MODULE, { params });
}

/** Makes the kernel misbehave; resolves or rejects as the writing process in the guest fares. */
export function makeTrouble(agent: Agent, word: Trouble): Promise<void> {
  return agent.writeFile(DOOR, word, { control: true });
}

/** Waits until the kernel has printed a text on the machine's console. */
export async function printed(machine: { readonly consoleLog: string }, text: string, limitMs = 5_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await readFile(machine.consoleLog, "utf8")).includes(text)) {
    if (performance.now() > deadline) throw new Error(`the console did not show "${text}" within ${limitMs} ms`);
    await pause(10);
  }
}
