import { errnoName } from "../guest/errno.ts";
import type { Call } from "../guest/program.ts";
import { BusError } from "../../conformance/support/errno.ts";
import type { Process } from "../../conformance/support/process.ts";
import { Script, ScriptResult } from "../../conformance/support/script.ts";

/** One turn of a loop; `must` ends the loop, and the measurement, when a call failed. */
export type Body = (script: Script, must: (call: Call) => void) => void;

interface Timed {
  readonly script: Script;
  /** Nanoseconds a turn, by the guest's clock. @throws BusError when a turn failed */
  read(result: ScriptResult): number;
}

/** Runs the body in a loop inside the guest. @returns nanoseconds a turn @throws BusError */
export async function timeTurns(process: Process, turns: number, body: Body, limitMs: number): Promise<number> {
  const { script, read } = loop(turns, body);
  return read(new ScriptResult(await process.peer.run(script.program, { timeoutMs: limitMs })));
}

let meetings = 0;

/** Runs both bodies at the same time, each in its process. @returns nanoseconds a turn of the client @throws BusError */
export async function timePair(client: Process, server: Process, turns: number, bodies: { readonly client: Body; readonly server: Body }, limitMs: number): Promise<number> {
  const place = 8 * meetings++; // of the memory that all peers share; each meeting needs its own
  const parts = [
    { process: server, timed: loop(turns, bodies.server, place) },
    { process: client, timed: loop(turns, bodies.client, place) },
  ];
  const started = parts.map(({ process, timed }) => ({ timed, result: process.peer.start(timed.script.program, { timeoutMs: limitMs }).result }));
  const taken = await Promise.all(started.map(async ({ timed, result }) => timed.read(new ScriptResult(await result))));
  return taken[1] ?? 0;
}

function loop(turns: number, body: Body, meetAt?: number): Timed {
  const script = new Script();
  const { program } = script;
  if (meetAt !== undefined) program.barrier(program.arena(meetAt), 2);
  const [error, done] = [program.register(), program.register()];
  const begin = program.clock();
  program.loop(turns, () => {
    body(script, (call) => {
      program.set(error, call.err);
      program.breakIf(error, "!=", 0);
    });
    program.compute(done, "+", 1, done);
  });
  const end = program.clock();
  return {
    script,
    read: ({ result }) => {
      const finished = result.number(done);
      if (finished !== turns) throw new BusError(`a loop of ${turns} turns, in turn ${finished + 1}`, errnoName(result.number(error)));
      return Number(result.unsigned(end) - result.unsigned(begin)) / turns;
    },
  };
}
