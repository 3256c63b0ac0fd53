import type { ErrnoName } from "../../orchestration/guest/errno.ts";

export type { ErrnoName };

/** A system call in the guest failed. Tests that want that use `expectErrno`. */
export class BusError extends Error {
  override readonly name = "BusError";
  readonly errno: string;

  constructor(operation: string, errno: string) {
    super(`${operation} failed with ${errno}`);
    this.errno = errno;
  }
}
