import { tmpdir } from "node:os";
import { join } from "node:path";

/** Prefix of everything a run starts; leftovers are found by it alone. */
export function runPrefix(runId: string): string {
  return `buslab-${runId}-`;
}

/** Folder of a run's sockets: short, because the path of a unix socket has at most 107 bytes. */
export function socketDirOf(runId: string): string {
  const base = tmpdir();
  return join(base.length > 40 ? "/tmp" : base, `buslab-${runId}`);
}
