import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { findProgram } from "../host-packages.ts";
import { requireProgram } from "../tools.ts";

/** Why no container can be made here; undefined where one can. */
export async function engineTrouble(): Promise<string | undefined> {
  if ((await findProgram("docker")) === undefined) return "there is no command docker; the Debian package is docker.io";
  const asked = await exec(["docker", "version", "--format", "{{.Server.Version}}"], { okCodes: [0, 1], timeoutMs: 30_000 });
  return asked.exitCode === 0 ? undefined : `no Docker engine answers: ${asked.stderr.trim().split("\n").at(-1) ?? ""}`;
}

/** @throws HOST_TOOL_MISSING saying why there is none, and what to do */
export async function requireEngine(wanted: string): Promise<void> {
  const trouble = await engineTrouble();
  if (trouble !== undefined) throw new SuiteError("HOST_TOOL_MISSING", `${wanted} needs a container engine, and ${trouble}; start one (Debian: docker.io), or name its address in DOCKER_HOST`);
}

/** Makes an archive of a root file system an image of the engine, unless it has it. `changes` are lines of a Dockerfile. */
export async function importImage(name: string, tar: string, changes: readonly string[] = []): Promise<void> {
  const docker = await requireProgram("docker", "docker.io");
  const known = await exec([docker, "image", "inspect", name], { okCodes: [0, 1] });
  if (known.exitCode !== 0) await exec([docker, "import", ...changes.flatMap((line) => ["--change", line]), tar, name], { timeoutMs: 600_000 });
}

/** Removes the containers that carry the label with the pid of a process that is gone. */
export async function removeForgotten(label: string): Promise<void> {
  const { stdout } = await exec(["docker", "ps", "--all", "--filter", `label=${label}`, "--format", `{{.ID}} {{.Label "${label}"}}`]);
  for (const line of stdout.trim().split("\n").filter((text) => text !== "")) {
    const [id = "", owner = ""] = line.split(" ");
    if (!isAlive(Number(owner))) await exec(["docker", "rm", "--force", id], { okCodes: [0, 1] }); // 1: another process was first
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
