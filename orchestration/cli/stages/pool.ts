import { Limits } from "../../base/deadline.ts";
import type { PoolOptions, RunningPool } from "../../run/run.ts";
import { startPool, type PooledTemplate } from "../../vm/index.ts";
import { connectAgent } from "./agent.ts";

/** The machine pool of a run, recording into the run's own file. */
export function openPool(options: PoolOptions<PooledTemplate>): Promise<RunningPool> {
  return startPool({
    ...(options.name === undefined ? {} : { name: options.name }),
    templates: options.templates,
    ...(options.parallel === undefined ? {} : { parallel: options.parallel }),
    facts: options.facts,
    slots: options.slots,
    runDir: options.folder.dir,
    runId: options.folder.run,
    ...(options.keep === undefined ? {} : { keep: options.keep }),
    limits: new Limits(options.slowdown),
    connectAgent,
    onTargetEvents: options.onTargetEvents,
    appendRecord: (fields) => {
      options.appendRecord(fields);
      return Promise.resolve();
    },
  });
}
