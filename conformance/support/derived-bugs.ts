import { appendFile, readFile } from "node:fs/promises";
import { Limits } from "../../orchestration/base/deadline.ts";
import { AgentClient } from "../../orchestration/guest/agent-client.ts";
import type { LeaseGrant } from "../../orchestration/vm/lease.ts";

/**
 * For `./buslab mutants --derived`, which runs the suite on a module with many bugs that can be switched on: BUSLAB_BUGS
 * names a file with the place of each test's bug, BUSLAB_REACH one to which the places that each test reached are
 * appended. Without them nothing is done.
 */
const BUGS = process.env["BUSLAB_BUGS"];
const REACH = process.env["BUSLAB_REACH"];
const PARAMETER = "/sys/module/kdbus/parameters/bug";
const limits = new Limits(Number(process.env["BUSLAB_SLOWDOWN"] ?? "1"));
const LIMIT_MS = 2_000;

/** Switches on the bug that the test is to meet, if it is one of those that are to meet any. */
export async function switchBug(machine: LeaseGrant, test: string): Promise<void> {
  if (BUGS === undefined && REACH === undefined) return;
  const places = BUGS === undefined ? {} : (JSON.parse(await readFile(BUGS, "utf8")) as Readonly<Record<string, number>>);
  await using agent = await connect(machine);
  await agent.writeFile(PARAMETER, String(places[test] ?? 0), { control: true });
}

/** Writes down which places the test reached. A machine that is gone, or whose module is, tells nothing: the test is then not used. */
export async function tellReached(machine: LeaseGrant, test: string): Promise<void> {
  if (REACH === undefined) return;
  try {
    await using agent = await connect(machine);
    await appendFile(REACH, `${JSON.stringify({ test, mask: await agent.readText(PARAMETER) })}\n`);
  } catch {
    // no line
  }
}

function connect(machine: LeaseGrant): Promise<AgentClient> {
  return AgentClient.connect(machine.agentSocket, { timeoutMs: limits.ms(LIMIT_MS), requestTimeoutMs: limits.ms(LIMIT_MS) });
}
