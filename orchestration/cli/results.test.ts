import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { after, before, describe } from "node:test";
import { writeRun } from "../api/testing/made-up-run.ts";
import { TARGETS } from "../api/testing/made-up-runs.ts";
import { hasLocalPostgres, startLocalPostgres, type LocalPostgres } from "../store/local-postgres.ts";

const MAIN = join(import.meta.dirname, "main.ts");
const [OLD, NEW] = ["20260101-000000-0000aa", "20260102-000000-0000bb"] as const;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

let home: string;
let server: LocalPostgres | undefined;
let database: string;

function start(args: readonly string[], more: Readonly<Record<string, string>> = {}): ChildProcess {
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, BUSLAB_TOKEN: undefined, BUSLAB_HOME: home, BUSLAB_DATABASE_URL: database, ...more };
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
}

async function end(child: ChildProcess): Promise<Ended> {
  let [out, err] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

const buslab = (args: readonly string[], more?: Readonly<Record<string, string>>): Promise<Ended> => end(start(args, more));

/** A centre of its own on a free port, and how it ended after a signal. */
async function serve(more: Readonly<Record<string, string>> = {}): Promise<{ url: string; stop: (signal: NodeJS.Signals) => Promise<Ended> } & Disposable> {
  const child = start(["serve", "--listen", "127.0.0.1:0", "--public-read"], more);
  const ended = end(child);
  const [first] = await Promise.race([ended.then((early): string[] => assert.fail(`serve ended with ${early.code}: ${early.err}`)), firstLine(child)]);
  const url = /results centre at (\S+), database/.exec(first ?? "")?.[1] ?? assert.fail(`serve began with "${first}"`);
  return { url, stop: (signal) => (child.kill(signal), ended), [Symbol.dispose]: () => void child.kill("SIGKILL") };
}

async function firstLine(child: ChildProcess): Promise<string[]> {
  if (child.stdout === null) return [];
  for await (const line of createInterface({ input: child.stdout })) return [line];
  return [];
}

describe("commands of the results centre", { skip: (await hasLocalPostgres()) ? false : "Debian's package postgresql is not installed" }, () => {
  before(async () => {
    home = await mkdtemp(join(tmpdir(), "buslab-cli-"));
    server = await startLocalPostgres({ fsync: false });
    database = server.url;
    const made = { targets: TARGETS.slice(3, 4), tests: 30 };
    await writeRun(join(home, "runs"), { ...made, run: OLD, startedAt: new Date("2026-01-01T00:00:00Z") });
    await writeRun(join(home, "runs"), { ...made, run: NEW, startedAt: new Date("2026-01-02T00:00:00Z"), fate: (_test, index) => (index === 2 ? { kind: "failed", message: "expected 1, got 2" } : index === 3 ? { kind: "infra-error", message: "qemu ended by signal 9" } : { kind: "passed" }) });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(home, { recursive: true, force: true });
  });

  const MISTAKES: readonly (readonly [readonly string[], RegExp])[] = [
    [["runs", "--limit", "foo"], /^error: option '--limit <number>' argument 'foo' is invalid. Give a whole number from 1 on.$/m],
    [["export", "--format", "xml", "latest"], /^error: option '--format <name>' argument 'xml' is invalid. Allowed choices are junit, ktap/m],
    [["export", "--format", "junit", "nosuchrun"], /^buslab: "nosuchrun" .*\[(RUN_UNKNOWN|FILE_INVALID)\]$/m],
    [["report", "nosuchrun"], /^buslab: "nosuchrun" names 0 of the 2 runs that are kept; the latest is 20260102-000000-0000bb \[RUN_UNKNOWN\]$/m],
    [["push", "latest", "--to", "nonsense", "--token", "x"], /^buslab: --to "nonsense" is no address; it looks like http:\/\/127.0.0.1:8420 \[USAGE\]$/m],
    [["prune"], /^buslab: prune needs a rule: .*\[USAGE\]$/m],
  ];
  for (const [args, sentence] of MISTAKES) {
    test(`\`${args.join(" ")}\` is the caller's mistake, told in one sentence`, async () => {
      const { code, out, err } = await buslab(args);
      assert.match(err, sentence);
      assert.deepEqual([code, out], [2, ""]);
    });
  }

  test("a centre on PostgreSQL takes a run by push, answers beside other commands, and Ctrl-C ends it with 130", async () => {
    using centre = await serve();
    const [stranger, { out: token }] = await Promise.all([
      buslab(["push", "latest", "--to", centre.url], { BUSLAB_TOKEN: "buslab_nobody_knows_this_one" }),
      buslab(["token", "create", "--role", "submit", "--name", "ci"]),
    ]);
    assert.match(stranger.err, /the token given is unknown, expired or revoked \[TOKEN_NEEDED\]/);
    assert.equal(stranger.code, 2);
    const pushed = await buslab(["push", "latest", "--to", centre.url], { BUSLAB_TOKEN: /buslab_\S+/.exec(token)?.[0] ?? "" });
    assert.deepEqual([pushed.code, pushed.out.startsWith(`run ${NEW} is at ${centre.url}/runs/${NEW}`)], [0, true], pushed.err);
    const listed = await buslab(["runs", "--limit", "5000"]);
    assert.deepEqual([listed.code, listed.out.split("\n").slice(0, 2).map((line) => line.slice(0, 35).trim())], [0, [`${NEW}  violated`, `${OLD}  conformant`]]);
    const { code, err } = await centre.stop("SIGINT");
    assert.equal(code, 130, err);
  });

  test("beside a centre that holds the embedded database more runs than a page has may be asked for, and mistakes stay mistakes", async () => {
    const embedded = { BUSLAB_DATABASE_URL: "" };
    using centre = await serve(embedded);
    const [listed, unknown] = await Promise.all([buslab(["runs", "--limit", "5000", "--json"], embedded), buslab(["report", "nosuchrun"], embedded)]);
    assert.deepEqual([listed.code, (JSON.parse(listed.out) as { total: number }).total], [0, 2], listed.err);
    assert.deepEqual([unknown.code, unknown.out], [2, ""], unknown.err);
    const { code, err } = await centre.stop("SIGTERM");
    assert.equal(code, 0, err);
  });

  test("what prune took is told by report, runs and export, and results stay", async () => {
    const pruned = await buslab(["prune", "--older-than", "1d"]);
    assert.match(pruned.out, new RegExp(`^pruned ${NEW}: \\d+ files, .*older than`, "m"), pruned.err);
    const [report, runs, junit] = await Promise.all([buslab(["report", NEW]), buslab(["runs"]), buslab(["export", "--format", "junit", "--attachments", home, NEW])]);
    assert.match(report.out, /evidence .*pruned .*; the paths above name what is gone\n$/i);
    assert.match(runs.out, new RegExp(`^${NEW} .*\\[evidence pruned on \\d{4}-\\d\\d-\\d\\d\\]$`, "m"));
    assert.deepEqual([junit.code, junit.out.includes("ATTACHMENT"), /<failure /.test(junit.out), /<error /.test(junit.out)], [0, false, true, true]);
    assert.ok((await readFile(join(home, "runs", NEW, "records.jsonl"))).length > 0);
  });
});
