import { AgentClient } from "../../guest/agent-client.ts";
import { newRunKey, SshSession } from "../../guest/ssh.ts";
import type { Machine } from "../../vm/machine.ts";
import type { OneTarget } from "./one-target.ts";

/** An ssh session to a machine, with a key that nobody else has. */
export async function sshTo(machine: Machine, { built, accel, runId }: Pick<OneTarget, "runId"> & { readonly built: { readonly image: { readonly hostKeyPub: string } }; readonly accel: { readonly slowdown: number } }): Promise<SshSession> {
  const key = newRunKey(`buslab ${runId}`);
  await authorize(machine.agentSocket, key.publicLine, 5_000 * accel.slowdown);
  const port = await machine.forwardSsh();
  return SshSession.open({ host: "127.0.0.1", port, user: "root", privateKey: key.privateKey, hostKeyLine: built.image.hostKeyPub, deadlineMs: 15_000 * accel.slowdown });
}

/** An interactive shell in a machine. @returns its exit code */
export async function shellIn(machine: Machine, ready: Pick<OneTarget, "built" | "accel" | "runId">): Promise<number> {
  await using session = await sshTo(machine, ready);
  return await session.shell();
}

/** Lets a key in, through the agent that virtual machines have. */
export async function authorize(agentSocket: string, publicLine: string, timeoutMs: number): Promise<void> {
  await using agent = await AgentClient.connect(agentSocket, { timeoutMs, keepPeers: true });
  await agent.exec(["mkdir", "-p", "-m", "700", "/root/.ssh"], { timeoutMs });
  await agent.writeFile("/root/.ssh/authorized_keys", publicLine, { timeoutMs, mode: 0o600 });
}
