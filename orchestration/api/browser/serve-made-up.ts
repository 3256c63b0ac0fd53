import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ingestRun } from "../../store/ingest.ts";
import { storeBench } from "../../store/bench.ts";
import { migrate } from "../../store/migrate.ts";
import { openPglite } from "../../store/pglite.ts";
import { storeWaivers } from "../../store/waivers.ts";
import { Keeper } from "../keeper.ts";
import { writeRun, writeVerdict } from "../testing/made-up-run.ts";
import { serveDatabase } from "../testing/serve-database.ts";
import { history, TARGETS } from "../testing/made-up-runs.ts";
import { createToken } from "../tokens.ts";

export interface MadeUpCentre extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly runs: readonly string[];
  /** A run that goes on until it is told to end. */
  readonly live: { readonly run: string; more(lines: number): Promise<void>; end(): Promise<void> };
}

const DAY_MS = 24 * 60 * 60_000;

/** A real server on a free port over a database of made-up runs with something of everything. */
export async function serveMadeUp(options: { publicRead: boolean; runs: number; tests: number }): Promise<MadeUpCentre> {
  const scope = new AsyncDisposableStack();
  const home = await mkdtemp(join(tmpdir(), "buslab-pages-"));
  scope.defer(() => rm(home, { recursive: true, force: true }));
  const { db } = scope.use(await openPglite(join(home, "db")));
  await migrate(db);
  const runsDir = join(home, "runs");
  const now = new Date();
  const made = history(options.runs, options.tests, now);
  for (const each of made) {
    const { dir } = await writeRun(runsDir, each);
    await ingestRun(db, each.run, dir);
  }
  for (let day = 30; day > 0; day--) {
    const noise = ((day * 7919) % 13) / 10;
    const figures = [{ name: "round trip of 64 bytes", value: 41 + noise + (day < 3 ? 9 : 0), unit: "us", against: "a pipe", ratio: 2.1, exact: false }, { name: "messages a second", value: 21_000 + noise * 300, unit: "1/s", exact: false }, { name: "copies of a payload", value: 1, unit: "copies", exact: true }];
    await storeBench(db, { schema: "buslab.bench/1", target: TARGETS[3], accel: { kind: "tcg" }, at: new Date(now.getTime() - day * DAY_MS).toISOString(), figures }, now.toISOString());
  }
  const day = (days: number): string => new Date(now.getTime() + days * DAY_MS).toISOString().slice(0, 10);
  await storeWaivers(db, [["MSG-014", "arm64", 40], ["LIM-003", "*/*/selinux", 5], ["FD-002", "*", -3]].map(([requirement, target, left]) => ({ requirement: String(requirement), target: String(target), owner: "kernel team", reason: "Mended upstream, waiting for the next stable release.", lastDay: day(Number(left)), text: `${String(requirement)} on ${String(target)}` })));

  const run = made.at(-1)?.run.replace(/[0-9a-f]{6}$/, "ffffff") ?? "";
  const going = { run, targets: TARGETS.slice(2, 4), startedAt: new Date(now.getTime() - 20_000), tests: 60, fate: (_test: unknown, index: number) => (index === 4 ? ({ kind: "failed", message: "expected 1, got 2" } as const) : ({ kind: "passed" } as const)) };
  const whole = await writeRun(join(home, "elsewhere"), going);
  const part = await writeRun(runsDir, { ...going, unfinishedAfter: 20 });
  let told = part.lines.length;

  const keeper = scope.use(new Keeper(db, runsDir, () => undefined));
  const { url } = scope.use(await serveDatabase(db, home, { publicRead: options.publicRead }));
  await keeper.sweep();
  keeper.start();
  const { token } = await createToken(db, { name: "a reader", role: "read", expiresAt: null });
  return {
    url, token, runs: made.map((each) => each.run),
    live: {
      run,
      async more(lines) {
        await appendFile(join(part.dir, "records.jsonl"), whole.lines.slice(told, told + lines).join(""));
        told += lines;
      },
      async end() {
        await this.more(whole.lines.length);
        await writeVerdict(part.dir, whole.plan, whole.lines);
      },
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }; // prettier-ignore
}
