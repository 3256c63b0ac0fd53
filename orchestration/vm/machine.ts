import type { MachineDeath } from "../record/v1.ts";

/**
 * A running machine, whatever drives it. It carries the run id in its command line, dies with the process that started
 * it, and its three channels (kernel console, agent, monitor) never share a wire.
 */
export interface Machine extends AsyncDisposable {
  /** `buslab-<run>-<label>`; what leftovers are found by. */
  readonly name: string;
  readonly pid: number;
  /** Unix socket of the guest agent's port; one client at a time. */
  readonly agentSocket: string;
  /** Kernel console of this machine alone, growing; it begins when the machine was started. */
  readonly consoleLog: string;
  /** Settles once, when the machine has ended, whoever ended it. */
  readonly dead: Promise<MachineDeath>;
  /** True from the moment somebody of ours asked for the end: then `dead` accuses nobody. */
  readonly endedByUs: boolean;
  /** Ends it at once and waits until it is gone. Safe to call twice. */
  kill(): Promise<void>;
  /** Ends it as an outsider would (SIGKILL), so that `dead` tells of a killed machine. */
  murder(): void;
  /**
   * Finds out what became of a machine that fell silent, where no process of this host shows its end; null: it lives, as
   * far as can be seen. Machines that run here do without: `dead` tells.
   */
  lostContact?(): Promise<MachineDeath | null>;
  /** Makes the kernel print all tasks and locks on the console although the agent is silent; false when it cannot. */
  dumpTasks(): Promise<boolean>;
  /** Whether every CPU of the guest has its interrupts off just now; undefined when it cannot be told. */
  interruptsOff(): Promise<boolean | undefined>;
  /** A non-maskable interrupt: the last question to a kernel that spins with interrupts off; false when it cannot. */
  interruptHard(): Promise<boolean>;
  /** Writes memory and devices to `state` in a folder and its own part of the disk to the empty `disk.qcow2` that is there, then goes on; false when it cannot. */
  save(dir: string, limitMs: number): Promise<boolean>;
  /** Opens a port of 127.0.0.1 that leads to the guest's sshd. @throws QMP_FAILED */
  forwardSsh(): Promise<number>;
  /** Moves the console log; the machine goes on writing to it. */
  moveConsole(path: string): Promise<void>;
}

/** Starts machines of one kind; accepted when it passes `driver.contract.ts`. */
export interface MachineDriver {
  readonly kind: string;
  start(options: { readonly label: string; readonly dir: string }): Promise<Machine>;
}
