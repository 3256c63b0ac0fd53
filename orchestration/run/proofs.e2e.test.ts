import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { exec } from "../base/exec.ts";
import { ROOT } from "../base/paths.ts";
import { BuslabProcess, freshHome, outcomesOf, processesOf, verdictOf, type Ended } from "./buslab-process.ts";

/*
 * The harness under real misfortune: whole runs on real machines, interrupted, killed, starved, and given modules that
 * are broken in known ways. Canaries prove the same for what happens inside a machine; this file for what happens around it.
 */

const LIMIT = { timeout: 600_000 };
const AREA = ["run", "--area", "ord", "--json"];

/** The run has this many results; whatever happens next must not take them away. */
async function untilResults(run: BuslabProcess, count: number): Promise<number> {
  return run.until(`${count} results`, async () => {
    const { records } = await run.records();
    const ends = records.filter((record) => record.type === "test-end" && record.runner === "passed" && !record.test.startsWith("canary/"));
    return ends.length >= count ? ends.length : undefined;
  });
}

async function nothingLeft(run: BuslabProcess): Promise<void> {
  const deadline = performance.now() + 20_000;
  let left = await run.leftovers();
  while (left.some((each) => !each.startsWith("/")) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    left = await run.leftovers();
  }
  assert.deepEqual(left.filter((each) => !each.startsWith("/")), []);
}

async function judged(home: string, run: BuslabProcess): Promise<Ended> {
  return new BuslabProcess(home, ["judge", run.dir, "--json"]).ended;
}

const passedIn = (ended: Ended): number => Object.values(outcomesOf(verdictOf(ended))).filter((outcome) => outcome === "passed").length;

test("Ctrl-C ends a run with 130, leaves nothing running and keeps every result", LIMIT, async (t) => {
  const home = freshHome(t);
  const run = new BuslabProcess(home, AREA);
  const before = await untilResults(run, 3);

  run.child.kill("SIGINT");
  const ended = await run.ended;

  assert.equal(ended.exitCode, 130);
  assert.deepEqual(await run.leftovers(), []);
  const log = await run.records();
  assert.deepEqual([log.torn, log.records.at(-1)?.type], [[], "run-end"]);
  assert.ok(passedIn(ended) >= before);
  assert.ok(Object.values(outcomesOf(verdictOf(ended))).includes("not-run"));
});

test("kill -9 of the whole run leaves nothing running, and what was recorded can be judged", LIMIT, async (t) => {
  const home = freshHome(t);
  const run = new BuslabProcess(home, AREA);
  const before = await untilResults(run, 3);

  run.child.kill("SIGKILL");
  await run.ended;

  await nothingLeft(run);
  const verdict = await judged(home, run);
  assert.equal(verdict.exitCode, 3);
  assert.ok(passedIn(verdict) >= before);
});

test("kill -9 of the test runner loses no recorded result and is never a pass", LIMIT, async (t) => {
  const run = new BuslabProcess(freshHome(t), AREA);
  const before = await untilResults(run, 3);
  const [runner] = await run.until("the runner's process", () => {
    const found = processesOf(run.run ?? "", "--test-list");
    return found.length > 0 ? found : undefined;
  });

  process.kill(runner ?? 0, "SIGKILL");
  const ended = await run.ended;

  assert.equal(ended.exitCode, 3);
  assert.deepEqual(await run.leftovers(), []);
  assert.ok(passedIn(ended) >= before);
  const bad = Object.entries(outcomesOf(verdictOf(ended))).filter(([, outcome]) => outcome === "failed" || outcome === "crashed");
  assert.deepEqual(bad, [], "nothing is blamed on the subject");
});

test("a full disk ends undecided, and what was recorded before stays readable", { ...LIMIT, skip: process.getuid?.() === 0 ? false : "needs root to mount a small file system" }, async (t) => {
  const home = mkdtempSync(join(tmpdir(), "buslab-full-"));
  await exec(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", home]);
  t.after(async () => {
    await exec(["umount", "-l", home]);
    rmSync(home, { recursive: true, force: true });
  });
  const run = new BuslabProcess(home, AREA);
  const ended = await run.ended;

  assert.equal(ended.exitCode, 3);
  assert.match(`${ended.stdout}${ended.stderr}`, /HOST_DISK_FULL|CONSOLE_LOST/);
  assert.deepEqual(await run.leftovers(), []);
  const log = await run.records();
  assert.ok(log.records.length > 0);
});

test("a module that does not compile is violated, with the compiler's line", LIMIT, async (t) => {
  const dir = moduleCopy(t);
  writeFileSync(join(dir, "broken.c"), "int kdbus_broken(void)\n{\n\treturn no_such_thing;\n}\n");
  writeFileSync(join(dir, "Kbuild"), `${readFileSync(join(dir, "Kbuild"), "utf8")}\nkdbus-y += broken.o\n`);

  const ended = await new BuslabProcess(freshHome(t), ["run", "--requirement", "MSG-001", "--module", dir, "--json"]).ended;

  assert.equal(ended.exitCode, 1);
  const error = verdictOf(ended).targets[0]?.error;
  assert.equal(error?.code, "MODULE_BUILD_FAILED");
  assert.match(error.details, /broken\.c:3:\d+: error: .*no_such_thing/);
});

test("a module that panics while it is loaded is violated, with what the kernel said", LIMIT, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-module-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "Kbuild"), "obj-m := kdbus.o\n");
  writeFileSync(
    join(dir, "kdbus.c"),
    '#include <linux/module.h>\n#include <linux/kernel.h>\nstatic int __init start(void)\n{\n\tWARN(1, "before the panic");\n\tpanic("planted at load");\n\treturn 0;\n}\nmodule_init(start);\nMODULE_LICENSE("GPL");\n',
  );

  const ended = await new BuslabProcess(freshHome(t), ["run", "--requirement", "MSG-001", "--module", dir, "--json"]).ended;

  assert.equal(ended.exitCode, 1);
  const error = verdictOf(ended).targets[0]?.error;
  assert.equal(error?.code, "MODULE_LOAD_FAILED");
  assert.match(`${error.message}${error.details}`, /planted at load/);
  assert.match(error.details, new RegExp(`WARNING: .* at ${basename(dir)}/kdbus\\.c:5 `), "files have the name that they have in the module's folder");
});

test("a module broken in one line is red at the requirement it breaks, and at no other of its area", LIMIT, async (t) => {
  const dir = moduleCopy(t);
  const file = join(dir, "name-command.c");
  const source = ["names.c", "name-command.c"].map((name) => join(dir, name)).find((path) => readFileSync(path, "utf8").includes("-EADDRINUSE")) ?? file;
  writeFileSync(source, readFileSync(source, "utf8").replaceAll("-EADDRINUSE", "-EBUSY"));

  const ended = await new BuslabProcess(freshHome(t), ["run", "--grep", "release|NAME_RELEASE|EADDRINUSE", "--area", "name", "--module", dir, "--json"]).ended;

  assert.equal(ended.exitCode, 1);
  const { violated } = verdictOf(ended).targets[0] ?? { violated: [] };
  assert.ok(violated.length > 0 && violated.every((id) => id.startsWith("NAME-")), violated.join(" "));
});

test("what cannot be run names the value, what was expected and the next step", LIMIT, async (t) => {
  const home = freshHome(t);
  const empty = join(home, "empty");
  mkdirSync(empty);
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["run", "sparc"], /"sparc".*no architecture.*known: x86_64[^]*next: /],
    [["run", "--requirement", "MSG-999"], /"MSG-999" is no requirement[^]*next: /],
    [["run", "--grep", "nothing fits this"], /no test of \d+ fits --grep nothing fits this[^]*next: /],
    [["run", "--kernel", empty], /no Linux source tree[^]*next: /],
    [["run", "--shard", "5/4"], /"5\/4"[^]*next: /],
    [["judge", "no-such-run"], /"no-such-run"[^]*next: /],
  ];

  for (const [argv, sentence] of cases) {
    const ended = await new BuslabProcess(home, argv).ended;
    assert.equal(ended.exitCode, 2, argv.join(" "));
    assert.match(ended.stderr, sentence, argv.join(" "));
  }
});

test("without QEMU in reach a run is undecided and says what to install", LIMIT, async (t) => {
  const home = freshHome(t);
  const bin = join(home, "bin");
  mkdirSync(bin);
  // An ordinary user who may not install anything, with a PATH that has no QEMU in it.
  const ended = await new BuslabProcess(home, ["doctor", "--json"], { PATH: bin }).ended;

  assert.equal(ended.exitCode, 3);
  const document = JSON.parse(ended.stdout) as { missing: { name: string; fix: string }[] };
  assert.ok(document.missing.some(({ name, fix }) => name === "qemu-system-x86" && fix.includes("apt-get install")), ended.stdout);
});

function moduleCopy(t: { after(undo: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), "buslab-module-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  cpSync(join(ROOT, "fixtures/module"), dir, { recursive: true });
  return dir;
}
