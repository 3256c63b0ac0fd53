import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";

/** Command words in front of a script that must be root over files, and may mount, without being root of this host. */
export function asNamespaceRoot(): [string, ...string[]] {
  const mounts = ["--mount", "--propagation", "private"];
  if (process.getuid?.() === 0) return ["unshare", ...mounts, "--"];
  return ["unshare", "--user", "--map-auto", "--map-root-user", ...mounts, "--"];
}

/**
 * Checks that an ordinary user can make a user namespace with a range of ids.
 * @throws HOST_TOOL_MISSING with the line that mends it
 */
export async function requireNamespaces(): Promise<void> {
  const { username, uid } = userInfo();
  for (const file of ["/etc/subuid", "/etc/subgid"]) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (hasRange(text, username, uid)) continue;
    throw new SuiteError(
      "HOST_TOOL_MISSING",
      `${file} has no line for user ${username}, so no image can be made without root; type: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
    );
  }
  const probe = await exec(["unshare", "--user", "--map-auto", "--map-root-user", "--mount", "--", "true"], { okCodes: [0, 1, 126, 127] });
  if (probe.exitCode === 0) return;
  throw new SuiteError("HOST_TOOL_MISSING", "this host does not let ordinary users make user namespaces; type: sudo sysctl kernel.unprivileged_userns_clone=1, or run as root", {
    details: probe.stderr,
  });
}

/** True when a subordinate id file gives the user at least 65536 ids: what a Debian system has in its passwd file. */
export function hasRange(text: string, user: string, uid: number): boolean {
  return text.split("\n").some((line) => {
    const [name, , count] = line.split(":");
    return (name === user || name === String(uid)) && Number(count) >= 65536;
  });
}
