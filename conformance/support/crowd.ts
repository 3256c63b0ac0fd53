import * as abi from "../../fixtures/abi/constants.ts";
import { encodeCommand, type Encoded } from "../../fixtures/abi/encode.ts";
import type { Call } from "../../orchestration/guest/program.ts";
import type { Endpoint } from "./bus.ts";
import { memory } from "./memory.ts";
import type { Process } from "./process.ts";
import { resultOf, Script } from "./script.ts";

/** Connections of a user and domain, or of a custom endpoint. */
export const CONNECTION_LIMIT = 1024;

/** Spawn options of a process that shall hold more connections than that. */
export const MANY_FILES = { rlimits: [{ resource: 7, soft: 4096n, hard: 4096n }] } as const;

export interface Crowd {
  /** Descriptors of the connections made. */
  readonly fds: readonly number[];
  /** The error of the last HELLO; null if all were made. */
  readonly errno: string | null;
}

/**
 * Opens the endpoint and says HELLO again and again until one fails, in one round trip.
 * @param options.realUidAtOpen taken on for each open and given back before each HELLO; the process must be root
 */
export async function connectMany(endpoint: Endpoint, by: Process, count: number, options: { readonly hello?: Encoded; readonly realUidAtOpen?: number } = {}): Promise<Crowd> {
  const script = new Script();
  const path = memory(`${endpoint.path}\0`);
  const hello = memory(options.hello ?? encodeCommand("HELLO", { pool_size: 4096 }));
  const steps: { open: Call; call: Call }[] = [];
  script.repeat(
    count,
    () => {
      if (options.realUidAtOpen !== undefined) script.syscall("setresuid", options.realUidAtOpen, -1, -1);
      const open = by.openStep(script, path);
      if (options.realUidAtOpen !== undefined) script.syscall("setresuid", 0, -1, -1);
      const call = script.ioctl(resultOf(open), abi.COMMANDS.HELLO, hello);
      steps.push({ open, call });
      return call;
    },
    { untilError: true },
  );
  const [step] = steps;
  if (step === undefined) throw new RangeError("the loop was not built");
  const result = await by.run(script);
  const outcomes = result.all(step.call);
  const fds = result.all(step.open).filter((_, index) => outcomes[index]?.errno === null).map(({ value }) => Number(value));
  const errno = outcomes.at(-1)?.errno ?? null;
  by.note(`up to ${count} connections on ${endpoint.path}`, `${fds.length} made, ${errno ?? "no error"}`);
  return { fds, errno };
}
