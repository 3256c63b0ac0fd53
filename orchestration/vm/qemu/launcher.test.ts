import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { leftoversOf } from "../leftovers.ts";
import { launch, launchAlone, type LaunchOptions, type Launched } from "./launcher.ts";

const QEMU = "qemu-system-x86_64";
const RUN = "20260101-000000-abcdef";
const skip = existsSync(`/usr/bin/${QEMU}`) && existsSync("/usr/bin/gcc") ? false : `needs ${QEMU} and gcc`;
/** A machine without anything that goes on until it is told to end, with its monitor at the standard streams. */
const IDLE = [QEMU, "-name", `buslab-${RUN}-m1`, "-machine", "none", "-display", "none", "-monitor", "stdio"] as const;

const WAYS = {
  "from the launcher": launch,
  alone: (...given: Parameters<typeof launch>): Promise<Launched> => Promise.resolve(launchAlone(...given)),
} as const;

async function optionsIn(t: TestContext): Promise<LaunchOptions & { dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), "buslab-launcher-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return { dir, stdout: join(dir, "out"), stderr: join(dir, "err"), tmpDir: dir, tunables: "glibc.malloc.arena_max=1" };
}

for (const [way, start] of Object.entries(WAYS)) {
  test(`a machine started ${way} has its streams, its command line and its input, and its end is told`, { skip }, async (t) => {
    const options = await optionsIn(t);
    await writeFile(join(options.dir, "input"), "given");
    const machine = await start(IDLE, { ...options, input: join(options.dir, "input") });

    t.after(() => machine.kill());
    await until(() => printed(options.stdout, "QEMU"));
    assert.deepEqual(await leftoversOf(RUN), [machine.pid]);
    assert.equal(await readFile(`/proc/${machine.pid}/fd/3`, "utf8"), "given");
    assert.match(await readFile(`/proc/${machine.pid}/stat`, "utf8"), new RegExp(`\\) \\S \\d+ ${machine.pid} `), "it leads a process group");
    machine.feed("info name\nquit\n");

    assert.deepEqual(await machine.ended, { code: 0, signal: null });
    assert.match(await readFile(options.stdout, "utf8"), new RegExp(`buslab-${RUN}-m1`));
  });

  test(`a machine started ${way} that is killed or refuses its arguments says so`, { skip }, async (t) => {
    const options = await optionsIn(t);
    const killed = await start(IDLE, options);
    killed.kill();
    assert.deepEqual(await killed.ended, { code: null, signal: "SIGKILL" });
    killed.kill();

    const refused = await start([QEMU, "-nonsense"], options);
    assert.deepEqual(await refused.ended, { code: 1, signal: null });
    assert.match(await readFile(options.stderr, "utf8"), /-nonsense: invalid option/);
  });

  test(`a program that is not installed cannot be started ${way}`, async (t) => {
    const options = await optionsIn(t);
    assert.deepEqual(await (await start(["buslab-no-such-program"], options)).ended, { code: 127, signal: null });
  });
}

test("machines from the launcher see nothing of each other's files", { skip }, async (t) => {
  const options = await optionsIn(t);
  const machines = [await launch(IDLE, options), await launch(IDLE, options), await launch(IDLE, options)];
  for (const machine of machines) t.after(() => machine.kill());
  await until(async () => (await readFile(options.stdout, "utf8").catch(() => "")).split("QEMU").length > machines.length);

  for (const { pid } of machines) {
    const open = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readFile(`/proc/${pid}/fdinfo/${fd}`, "utf8")));
    assert.ok(open.length < 16, `${open.length} open files`);
    assert.equal(open.filter((info) => info.includes("sigmask")).length, (await ownSignalFds()), "none of the launcher's");
  }
  for (const machine of machines) machine.kill();
  await Promise.all(machines.map((machine) => machine.ended));

  /** What one that was executed has. */
  async function ownSignalFds(): Promise<number> {
    const alone = launchAlone(IDLE, options);
    await delay(300);
    const infos = await Promise.all((await readdir(`/proc/${alone.pid}/fd`)).map((fd) => readFile(`/proc/${alone.pid}/fdinfo/${fd}`, "utf8")));
    alone.kill();
    await alone.ended;
    return infos.filter((info) => info.includes("sigmask")).length;
  }
});

async function printed(path: string, text: string): Promise<boolean> {
  return (await readFile(path, "utf8").catch(() => "")).includes(text); // it is made by the process, a moment after its start
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await condition()) return;
    await delay(20);
  }
  assert.fail("did not come to pass");
}
