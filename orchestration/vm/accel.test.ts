import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SuiteError } from "../base/errors.ts";
import { ARCHES } from "../target/arches.ts";
import { fastestLoop, findAccel, runProbe, type ProbeResult } from "./accel.ts";
import { PROBE_GUESTS } from "./qemu/probe-guest.ts";

let cache = "";
const saved = { cache: process.env["BUSLAB_CACHE"], accel: process.env["BUSLAB_ACCEL"] };

before(async () => {
  cache = await mkdtemp(join(tmpdir(), "buslab-accel-test-"));
  process.env["BUSLAB_CACHE"] = cache;
  delete process.env["BUSLAB_ACCEL"];
});
after(async () => {
  await rm(cache, { recursive: true, force: true });
  if (saved.cache === undefined) delete process.env["BUSLAB_CACHE"];
  else process.env["BUSLAB_CACHE"] = saved.cache;
  if (saved.accel !== undefined) process.env["BUSLAB_ACCEL"] = saved.accel;
});

const arch = ARCHES.x86_64;

test("the accelerator is found by booting a guest, kept, and found again when the kept answer is damaged", async () => {
  const first = await findAccel(arch);
  assert.ok(first.probeMs > 0);
  assert.notEqual(first.why, "");
  assert.ok(first.kind === "kvm" ? first.slowdown === 1 : first.slowdown >= 8);

  const second = await findAccel(arch);
  assert.deepEqual({ ...second, probeMs: first.probeMs }, first);
  assert.equal(second.probeMs, 0);

  const file = join(cache, "accel-x86_64.json");
  await writeFile(file, (await readFile(file, "utf8")).slice(0, 20));
  assert.ok((await findAccel(arch)).probeMs > 0);
});

test("BUSLAB_ACCEL=tcg is obeyed and another word is the caller's mistake", async () => {
  process.env["BUSLAB_ACCEL"] = "tcg";
  const accel = await findAccel(arch);
  assert.equal(accel.kind, "tcg");
  process.env["BUSLAB_ACCEL"] = "fast";
  await assert.rejects(findAccel(arch), (error: unknown) => error instanceof SuiteError && error.code === "CONFIG_INVALID");
  delete process.env["BUSLAB_ACCEL"];
});

test("a guest that hangs is given up at the deadline with the reason", async () => {
  const guest = PROBE_GUESTS.x86_64;
  assert.ok(guest !== undefined);
  const disk = guest.disk.slice();
  disk.set([0xfa, 0xf4, 0xeb, 0xfd]); // cli; hlt: waits for an interrupt that never comes
  const started = performance.now();
  const result = await runProbe(arch, { ...guest, disk }, "tcg", 2_000);
  assert.equal(result.works, false);
  assert.match(result.works ? "" : result.why, /hung for 2000 ms/);
  assert.ok(performance.now() - started < 6_000);
});

test("what ran beside one probe does not slow the answer: the fastest of three counts, and one is enough when it is fast", async () => {
  const probes = (...loops: readonly number[]): { readonly probe: () => Promise<ProbeResult>; readonly made: () => number } => {
    const answers = loops.map((loopMs): ProbeResult => ({ works: true, loopMs, totalMs: loopMs }));
    let made = 0;
    return { probe: () => Promise.resolve(answers[made++] ?? { works: false, why: "no probe is left" }), made: () => made };
  };
  const busy = probes(400, 90, 300);
  assert.deepEqual(await fastestLoop(busy.probe, 80), { works: true, loopMs: 90, totalMs: 90 });
  assert.equal(busy.made(), 3);
  const quiet = probes(70);
  assert.deepEqual(await fastestLoop(quiet.probe, 80), { works: true, loopMs: 70, totalMs: 70 });
  assert.equal(quiet.made(), 1);
  const dies = probes(400); // the later ones fail
  assert.deepEqual(await fastestLoop(dies.probe, 80), { works: true, loopMs: 400, totalMs: 400 });
  assert.deepEqual(await fastestLoop(probes().probe, 80), { works: false, why: "no probe is left" });
});
