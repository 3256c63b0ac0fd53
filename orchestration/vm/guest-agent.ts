/**
 * The few things the machine layer asks of the guest agent. The client itself lives above this folder
 * (`orchestration/guest`); the command line wires it in.
 */
export interface GuestAgent {
  ping(options: { readonly timeoutMs: number }): Promise<void>;
  /** After a clone: new entropy and the time of day. Without it clones give equal random numbers and a standing clock. */
  restored(options: { readonly seed: Uint8Array; readonly unixMs: number; readonly timeoutMs: number }): Promise<void>;
  /** Does once what tests do again and again, and leaves nothing behind. @returns what the guest refused */
  rehearse?(options: { readonly timeoutMs: number }): Promise<readonly string[]>;
  /** Puts a line of user space into the kernel's log. @returns the kernel's taint mask, read behind it */
  mark(line: string, options: { readonly timeoutMs: number }): Promise<number>;
  exec(argv: readonly string[], options: { readonly timeoutMs: number }): Promise<GuestExit>;
  writeFile(path: string, data: Uint8Array, options: { readonly timeoutMs: number; readonly mode?: number; /** one write(2) to a file of /proc, /sys or /dev */ readonly control?: boolean }): Promise<void>;
  readFile(path: string, options: { readonly timeoutMs: number }): Promise<Uint8Array>;
  /** Loads a module file that is already in the guest. @throws GUEST_REFUSED naming the errno */
  insmod(path: string, options: { readonly timeoutMs: number }): Promise<void>;
  /** The kernel's log buffer as text. */
  kernelLog(options: { readonly timeoutMs: number }): Promise<string>;
  close(): Promise<void>;
}

export interface GuestExit {
  readonly exitCode: number;
  /** It was still running at its limit and was killed. */
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves when the agent has said hello on this connection; on failure the connection is closed, since the next client is served only then. @throws GUEST_TIMEOUT | GUEST_LOST | GUEST_PROTOCOL */
export type ConnectAgent = (socketPath: string, options: { readonly timeoutMs: number; /** processes of the client before go on */ readonly keepPeers?: boolean }) => Promise<GuestAgent>;
