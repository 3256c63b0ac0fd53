import { stat } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../base/errors.ts";
import { RUN_ID } from "../../base/ids.ts";
import { readPlan } from "../../plan/plan.ts";
import type { LiveState } from "../schemas/live.ts";
import { LiveFold } from "./fold.ts";
import { Tail } from "./tail.ts";

/** A run that wrote nothing for so long is dead: the run itself ends a silent runner after ten minutes at most. */
const ABANDONED_MS = 15 * 60_000;
/** Folds kept in memory; a run that is asked for again is read again. */
const MOST = 20;

interface Followed {
  readonly fold: LiveFold;
  readonly tail: Tail;
  /** One reader at a time. */
  busy: Promise<void>;
}

/** Runs that go on, as their folders tell; nobody has to announce them. */
export class LiveRuns {
  private readonly runsDir: string;
  private readonly followed = new Map<string, Promise<Followed>>();

  constructor(runsDir: string) {
    this.runsDir = runsDir;
  }

  folder(run: string): string {
    if (!RUN_ID.test(run)) throw new SuiteError("RUN_UNKNOWN", `"${run.slice(0, 60)}" is no run id`);
    return join(this.runsDir, run);
  }

  records(run: string): string {
    return join(this.folder(run), "records.jsonl");
  }

  /** True while records may still come, by the age of the newest one. */
  async isFresh(run: string): Promise<boolean> {
    const file = await stat(this.records(run)).catch(() => null);
    return file !== null && Date.now() - file.mtimeMs < ABANDONED_MS;
  }

  async hasVerdict(run: string): Promise<boolean> {
    return (await stat(join(this.folder(run), "verdict.json")).catch(() => null)) !== null;
  }

  /** Reads what is new and sums up. @throws RUN_UNKNOWN when there is no such folder */
  async state(run: string): Promise<LiveState> {
    const followed = await this.follow(run);
    followed.busy = followed.busy.then(async () => {
      for (;;) {
        const news = await followed.tail.read();
        for (const { record } of news) followed.fold.take(record);
        if (news.length === 0) return;
      }
    });
    await followed.busy;
    return followed.fold.state(await this.isFresh(run));
  }

  async close(): Promise<void> {
    for (const each of this.followed.values()) await (await each.catch(() => null))?.tail[Symbol.asyncDispose]();
    this.followed.clear();
  }

  private follow(run: string): Promise<Followed> {
    const known = this.followed.get(run);
    if (known !== undefined) return known;
    const made = this.begin(run);
    this.followed.set(run, made);
    made.catch(() => this.followed.delete(run));
    for (const [old, each] of this.followed) {
      if (this.followed.size <= MOST) break;
      this.followed.delete(old);
      void each.then((followed) => followed.busy.finally(() => followed.tail[Symbol.asyncDispose]())).catch(() => undefined);
    }
    return made;
  }

  private async begin(run: string): Promise<Followed> {
    const dir = this.folder(run);
    if ((await stat(this.records(run)).catch(() => null)) === null) throw new SuiteError("RUN_UNKNOWN", `the centre has no records of run ${run}`);
    const plan = await readPlan(join(dir, "plan.json")).catch(() => null);
    return { fold: new LiveFold(run, plan), tail: new Tail(this.records(run)), busy: Promise.resolve() };
  }
}
