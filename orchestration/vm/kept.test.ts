import assert from "node:assert/strict";
import { existsSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Limits } from "../base/deadline.ts";
import type { SuiteError } from "../base/errors.ts";
import { ARCHES } from "../target/arches.ts";
import { makeTarget } from "../target/target-id.ts";
import { qemuVersionOf } from "./accel.ts";
import { describeKept, keepMachine, keptDir, keptMachineOf, openKept, readKeptTarget } from "./kept.ts";
import type { Machine } from "./machine.ts";
import type { Template } from "./template.ts";

const target = makeTarget("x86_64", "debian-6.1", "none", "plain");
const TEST = "name/acquire.spec.ts:NAME-075 a former owner";

interface Kept {
  readonly runDir: string;
  readonly template: Pick<Template, "key" | "target" | "frozen">;
  path(name: string): string;
  open(dir?: string | null): Promise<unknown>;
}

/** A run folder that says what its target's machines are made of: small files in their place. */
async function keptRun(t: { after(undo: () => void): void }, qemu?: string): Promise<Kept> {
  const runDir = mkdtempSync(join(tmpdir(), "buslab-kept-"));
  t.after(() => rmSync(runDir, { recursive: true, force: true }));
  const path = (name: string): string => join(runDir, name);
  for (const name of ["bzImage", "root.ext4", "ram", "state", "disk.qcow2"]) writeFileSync(path(name), name);
  const template: Kept["template"] = {
    key: "0123456789abcdef",
    target,
    frozen: {
      hardware: { arch: target.arch, accel: "tcg", memoryMb: 512, cpus: 1, kernel: path("bzImage"), kernelLine: "quiet" },
      files: { key: "0123456789abcdef", dir: runDir, ram: path("ram"), disk: path("disk.qcow2"), stateFile: path("state"), facts: { taint: 0, events: [], parameters: {} }, state: "built", because: "" },
    },
  };
  await describeKept(runDir, template, { hostKey: "ssh-ed25519 AAAA", image: path("root.ext4"), slowdown: 1, qemu: qemu ?? (await qemuVersionOf(ARCHES.x86_64)) });
  const open = async (dir: string | null = null): Promise<unknown> =>
    openKept(await readKeptTarget(runDir, target.id), dir, { name: "buslab-20260101-000000-abcdef-x", dir: path("machine"), scratch: runDir, socketDir: runDir, limits: new Limits(1), connectAgent: () => Promise.reject(new Error("not reached")) });
  return { runDir, template, path, open };
}

test("what is gone from the cache, or was made anew, is named before a machine is started", async (t) => {
  const { open, path } = await keptRun(t);
  rmSync(path("bzImage"));
  utimesSync(path("ram"), 1, 1);
  await assert.rejects(open(), (error: SuiteError) => {
    assert.equal(error.code, "ARTIFACT_GONE");
    assert.match(error.message, /bzImage is gone, and 1 more/);
    assert.match(error.details ?? "", /ram was made anew since/);
    return true;
  });
});

test("a kept machine needs no template", async (t) => {
  const { open, path, runDir } = await keptRun(t);
  for (const name of ["ram", "state", "disk.qcow2"]) rmSync(path(name));
  rmSync(path("root.ext4"));
  await assert.rejects(open(keptDir(runDir, target.id, TEST)), { code: "ARTIFACT_GONE", message: /root\.ext4 is gone$/ });
});

test("another QEMU is told by both versions", async (t) => {
  const { open } = await keptRun(t, "QEMU emulator version 6.0");
  await assert.rejects(open(), { code: "ARTIFACT_GONE", message: /frozen by QEMU emulator version 6\.0, and this host has QEMU emulator version \d/ });
});

test("a pruned run says so", async (t) => {
  const { runDir } = await keptRun(t);
  rmSync(join(runDir, "kept"), { recursive: true });
  await assert.rejects(readKeptTarget(runDir, target.id), { code: "ARTIFACT_GONE", message: /tells nothing of its machines: the run was pruned/ });
});

test("a test has the machine with the fewest processors that are enough for it", async (t) => {
  const { runDir, template, path } = await keptRun(t);
  const { frozen } = template;
  const more = { ...template, frozen: { ...frozen, hardware: { ...frozen.hardware, cpus: 2 } } };
  await describeKept(runDir, more, { hostKey: "ssh-ed25519 AAAA", image: path("root.ext4"), slowdown: 1, qemu: "QEMU" });
  const processors = async (wanted: number): Promise<number> => (await readKeptTarget(runDir, target.id, wanted)).hardware.cpus;
  assert.deepEqual(await Promise.all([1, 2, 3].map(processors)), [1, 2, 2]);
});

test("an older run, all of whose machines were equal, still tells what they are made of", async (t) => {
  const { runDir } = await keptRun(t);
  const dir = keptDir(runDir, target.id);
  renameSync(join(dir, "cpus-1.json"), join(dir, "target.json"));
  assert.equal((await readKeptTarget(runDir, target.id, 2)).hardware.cpus, 1);
});

test("a machine that cannot be kept leaves a reason and no half of it", async (t) => {
  const { runDir, template } = await keptRun(t);
  const machine = { name: "m1", save: () => Promise.resolve(false) } as unknown as Machine;
  assert.match((await keepMachine(runDir, machine, template, { target: target.id, test: TEST }, new Limits(1))) ?? "", /m1 cannot be kept|disk\.qcow2/);
  assert.equal(existsSync(keptDir(runDir, target.id, TEST)), false);
  assert.equal(await keptMachineOf(runDir, target.id, TEST), null);
});
