/** Who must act on an error: only `subject` counts against a release, the others leave a verdict undecided. */
export type Blame = "subject" | "infrastructure" | "caller";

interface ErrorRow {
  readonly blame: Blame;
  /** What to do next, as an instruction. */
  readonly hint: string;
}

/** Every error that crosses a folder. `docs/errors.md` is generated from and compared with this table. */
export const ERROR_TABLE = {
  // the caller's mistakes
  USAGE: { blame: "caller", hint: "Run the command with --help and correct the named argument." },
  TARGET_UNKNOWN: { blame: "caller", hint: "Run `./buslab targets` and choose one of the ids it prints." },
  REQUIREMENT_UNKNOWN: { blame: "caller", hint: "Run `./buslab requirements` and choose one of the ids it prints." },
  SELECTION_EMPTY: { blame: "caller", hint: "Loosen --grep, --area or --shard until at least one test is selected." },
  KERNEL_SPEC_INVALID: { blame: "caller", hint: "Give --kernel a key of buslab.config.ts or one of the forms of docs/kernels.md, and --config lines that the kernel has." },
  MODULE_DIR_INVALID: { blame: "caller", hint: "Give --module a folder with a Kbuild file that builds a .ko." },
  CONFIG_INVALID: { blame: "caller", hint: "Correct the named option and run the command again." },
  FILE_INVALID: { blame: "caller", hint: "Correct the named file, or make it again with the stage that writes it." },
  FINDING_UNKNOWN: { blame: "caller", hint: "Run `./buslab fuzz --list` and name one of the findings it prints." },
  RUN_UNKNOWN: { blame: "caller", hint: "Run `./buslab report` without arguments to list the runs that are kept." },
  LISTEN_FAILED: { blame: "caller", hint: "Choose another address with --listen, or end the program that uses this one." },
  TOKEN_NEEDED: { blame: "caller", hint: "Make a token with `./buslab token create` where the centre runs, and give it with --token or BUSLAB_TOKEN." },
  TOKEN_REFUSED: { blame: "caller", hint: "Use a token whose role suffices; an admin of the centre makes them with `./buslab token create`." },
  NOTHING_THERE: { blame: "caller", hint: "Look at the list that should have it and name one of its entries." },
  BODY_TOO_LARGE: { blame: "caller", hint: "Send less at once; the message tells how much is taken." },
  UPLOAD_CONFLICT: { blame: "caller", hint: "The centre has other content under this name; compare the two before anything is replaced." },
  ARTIFACT_GONE: { blame: "caller", hint: "Run the test again with ./buslab run, or --fresh for a new machine of the same target." },
  // the subject's faults
  MODULE_BUILD_FAILED: { blame: "subject", hint: "Mend the compiler errors shown and run again." },
  MODULE_LOAD_FAILED: { blame: "subject", hint: "Read the kernel log shown: the module was refused or crashed while loading." },
  KERNEL_BUILD_FAILED: { blame: "subject", hint: "Mend the compiler errors shown, or choose another kernel." },
  KERNEL_BOOT_FAILED: { blame: "subject", hint: "Read the console log named; the kernel did not reach user space." },
  // the ground under the test
  HOST_TOOL_MISSING: { blame: "infrastructure", hint: "Install the package named, or run `./buslab doctor --fix`." },
  HOST_DISK_FULL: { blame: "infrastructure", hint: "Free space on the file system named, or point BUSLAB_CACHE or BUSLAB_HOME at another one." },
  HOST_NETWORK: { blame: "infrastructure", hint: "Make the package mirror of this host's apt configuration reachable and run again." },
  COMMAND_FAILED: { blame: "infrastructure", hint: "Run the command shown by hand to see why it fails." },
  IMAGE_BUILD_FAILED: { blame: "infrastructure", hint: "Read the build log named and run again." },
  CACHE_CORRUPT: { blame: "infrastructure", hint: "Remove the cache entry named; it is built again on the next run." },
  VM_START_FAILED: { blame: "infrastructure", hint: "Read QEMU's message; `./buslab doctor` tells what this host lacks." },
  VM_DIED: { blame: "infrastructure", hint: "QEMU ended by itself or was killed; read console.log and run again." },
  VM_BOOT_TIMEOUT: { blame: "infrastructure", hint: "The guest did not answer in time; read console.log and run again on a quieter host." },
  VM_POOL_CLOSED: { blame: "infrastructure", hint: "The machine pool ended; start the run again." },
  QMP_FAILED: { blame: "infrastructure", hint: "QEMU refused a monitor command; check the QEMU version with `./buslab doctor`." },
  CHECKERS_OFF: { blame: "infrastructure", hint: "Give a kernel with the options of vm-images/kernel/config/debug.config, or take the plain build." },
  GUEST_LOST: { blame: "infrastructure", hint: "The guest agent's channel closed; the console log tells whether the kernel died." },
  GUEST_TIMEOUT: { blame: "infrastructure", hint: "The guest agent did not answer in time; the console log tells whether the kernel hangs." },
  GUEST_PROTOCOL: { blame: "infrastructure", hint: "A frame from the guest agent was damaged; run again and keep the transcript." },
  GUEST_REFUSED: { blame: "infrastructure", hint: "The guest agent could not do what was asked; its message names the system call." },
  SSH_FAILED: { blame: "infrastructure", hint: "ssh to the guest failed; check that sshd runs there and that the pinned host key is the guest's." },
  CONSOLE_LOST: { blame: "infrastructure", hint: "The console of the machine could not be read to its end; look for its log in the run folder and run again." },
  RESULT_LOST: { blame: "infrastructure", hint: "A test began and no result was recorded; run again." },
  RUNNER_FAILED: { blame: "infrastructure", hint: "The test runner ended abnormally; read its output in the run folder." },
  STORE_FAILED: { blame: "infrastructure", hint: "The results database could not be used; records.jsonl is still complete, run `./buslab report` again." },
  STORE_LOCKED: { blame: "infrastructure", hint: "Another process holds the results database; wait for it to end." },
  LSM_NOT_IN_FORCE: { blame: "infrastructure", hint: "Choose a target whose security module this kernel was built with, or build it in." },
  CENTRE_FAILED: { blame: "infrastructure", hint: "Make sure that the results centre runs at this address, then give the same command again; it goes on where it stopped." },
  GENERATION_UNKNOWN: { blame: "subject", hint: "The two generation signs disagree; name the generation with --generation to go on." },
  INTERRUPTED: { blame: "infrastructure", hint: "Run the command again; what was finished before is reused." },
  INTERNAL: { blame: "infrastructure", hint: "This is a defect of buslab; report it with the lines above." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** The one error class that crosses folders: a code from {@link ERROR_TABLE}, one sentence, optional details of many lines. */
export class SuiteError extends Error {
  readonly code: ErrorCode;
  /** Evidence of several lines, for example a compiler's output. */
  readonly details: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    // The code stands in the name because a test runner keeps only name and message of what a test throws.
    this.name = `SuiteError [${code}]`;
    this.code = code;
    this.details = options.details;
  }

  get blame(): Blame {
    return ERROR_TABLE[this.code].blame;
  }

  get hint(): string {
    return ERROR_TABLE[this.code].hint;
  }
}

/** Makes a SuiteError of anything thrown; unknown things become INTERNAL, full disks HOST_DISK_FULL. */
export function asSuiteError(thrown: unknown): SuiteError {
  if (thrown instanceof SuiteError) return thrown;
  if (thrown instanceof Error) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === "ENOSPC" || code === "EDQUOT") {
      const path = (thrown as NodeJS.ErrnoException).path;
      return new SuiteError("HOST_DISK_FULL", `no space left${path === undefined ? "" : ` for ${path}`}`, { cause: thrown });
    }
    return new SuiteError("INTERNAL", thrown.message, { cause: thrown, ...(thrown.stack === undefined ? {} : { details: thrown.stack }) });
  }
  return new SuiteError("INTERNAL", String(thrown));
}
