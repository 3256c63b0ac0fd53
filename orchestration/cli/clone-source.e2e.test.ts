import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { buildModule } from "../../vm-images/index.ts";
import { connectAgent } from "./stages/agent.ts";
import { AgentClient } from "../guest/agent-client.ts";
import { SuiteError } from "../base/errors.ts";
import { ROOT } from "../base/paths.ts";
import { silent } from "../base/progress.ts";
import type { Clone } from "../vm/clone.ts";
import { CloneSource } from "../vm/clone-source.ts";
import { connectWireAgent } from "../vm/fake/wire-agent.ts";
import type { ConnectAgent, GuestAgent } from "../vm/guest-agent.ts";
import { leftoversOf } from "../vm/leftovers.ts";
import { qemuBench, type QemuBench } from "../vm/qemu/test-support.ts";
import { runPrefix, socketDirOf } from "../vm/run-name.ts";
import { prepareTemplate, type Template } from "../vm/template.ts";

describe("clones of one template", () => {
  let bench: QemuBench;
  let template: Template;
  let count = 0;
  before(async () => {
    bench = await qemuBench();
    template = await prepareTemplate(bench.spec, bench.ctx);
  });
  after(async () => {
    assert.deepEqual(await leftoversOf(bench.ctx.runId), []);
    await rm(bench.dir, { recursive: true, force: true });
  });

  /** A source, why it stopped forking, and what was made of it. */
  const sourceWith = async (connectAgent: ConnectAgent = connectWireAgent) => {
    const dir = await mkdtemp(join(tmpdir(), "buslab-source-"));
    const reasons: string[] = [];
    const { hardware, files } = template.frozen;
    const parent = `${runPrefix(bench.ctx.runId)}s${++count}parent`;
    const source = new CloneSource(files, hardware, { name: parent, dir: join(dir, "parent") }, { socketDir: socketDirOf(bench.ctx.runId), limits: bench.spec.limits, connectAgent, onRestoring: (reason) => reasons.push(reason) });
    const clones: Clone[] = [];
    return {
      reasons,
      clone: async (): Promise<Clone> => {
        const name = `${runPrefix(bench.ctx.runId)}s${++count}`;
        clones.push(await source.clone({ name, dir: join(dir, name) }));
        return clones.at(-1) as Clone;
      },
      parentPid: async (): Promise<number> => {
        for (const pid of await leftoversOf(bench.ctx.runId)) if ((await readFile(`/proc/${pid}/cmdline`, "utf8")).includes(`${parent}\0`)) return pid;
        return assert.fail("there is no parent");
      },
      close: () => source.close(),
      async [Symbol.asyncDispose]() {
        await source.close();
        await Promise.all(clones.map(({ machine }) => machine.kill()));
        await rm(dir, { recursive: true, force: true });
      },
    };
  };
  const rehearsing = (rehearse: (agent: GuestAgent) => Promise<void>): ConnectAgent => async (...given) => {
    const agent = await connectWireAgent(...given);
    return { ...agent, rehearse: () => rehearse(agent).then(() => []) };
  };
  const ask = async ({ machine }: Clone, script: string): Promise<string> => {
    const agent = await connectWireAgent(machine.agentSocket, { timeoutMs: 20_000 });
    const { stdout } = await agent.exec(["sh", "-c", script], { timeoutMs: 30_000 });
    await agent.close();
    return stdout.trim();
  };

  test("are forked from one parent: own memory, disk, random numbers and console, and the right time", async () => {
    await using source = await sourceWith();
    const clones = await Promise.all([source.clone(), source.clone(), source.clone()]);

    const told = await Promise.all(clones.map((clone, index) => ask(clone, `echo ${index} > /root/disk; sync; echo ${index} > /run/memory; echo "console ${index}" > /dev/kmsg; head -c 16 /dev/urandom | od -An -tx1; date +%s`)));
    for (const [index, clone] of clones.entries()) assert.equal(await ask(clone, "cat /root/disk /run/memory; echo 3 > /proc/sys/vm/drop_caches; cat /root/disk"), [index, index, index].join("\n"));
    const randoms = told.map((lines) => lines.split("\n")[0]);
    assert.equal(new Set(randoms).size, clones.length, "each has its own");
    for (const lines of told) assert.ok(Math.abs(Number(lines.split("\n")[1]) - Date.now() / 1000) < 20, lines);
    for (const [index, { machine }] of clones.entries()) {
      const console = await readFile(machine.consoleLog, "latin1");
      assert.deepEqual([...console.matchAll(/console (\d)/g)].map(([, number]) => Number(number)), [index]);
    }
    assert.deepEqual(source.reasons, []);

    const parent = await source.parentPid();
    await source.close();
    assert.ok(!(await leftoversOf(bench.ctx.runId)).includes(parent));
    for (const [index, clone] of clones.entries()) assert.equal(await ask(clone, "cat /run/memory"), String(index), "they outlive it");
  });

  test("begin without a process, a file or a mount of the rehearsal, of which nothing is refused", async () => {
    const state = "ls -A /dev/shm /tmp /root; cut -d' ' -f2 /proc/mounts; ls /proc | grep -c '^[0-9]'; cat /proc/sys/kernel/tainted";
    await using source = await sourceWith(connectAgent);
    const dir = await mkdtemp(join(tmpdir(), "buslab-source-"));
    const plain = await template.clone({ name: `${runPrefix(bench.ctx.runId)}s${++count}`, dir });
    try {
      assert.equal(await ask(await source.clone(), state), await ask(plain, state));
      // its own client has more to tell: nothing of the rehearsal is refused, so it does what it says
      await using agent = await AgentClient.connect(plain.machine.agentSocket, { timeoutMs: 20_000 });
      assert.deepEqual(await agent.rehearse({ timeoutMs: 20_000 }), []);
      await agent.close();
      assert.equal(await ask(await source.clone(), state), await ask(plain, state));
    } finally {
      await plain.machine.kill();
      await rm(dir, { recursive: true, force: true });
    }
  });

  test("are restored from the files when the parent is killed, and the reason is told once", async () => {
    await using source = await sourceWith();
    await source.clone();
    process.kill(await source.parentPid(), "SIGKILL");
    const clones = await Promise.all([source.clone(), source.clone()]);
    for (const clone of clones) assert.equal(await ask(clone, "echo alive"), "alive");
    assert.equal(source.reasons.length, 1);
    assert.match(source.reasons[0] ?? "", /its parent has ended|did not answer|cannot be asked/);
  });

  test("are never forked from a parent whose kernel reported something, which no clone would show", async () => {
    const { ko } = await buildModule(bench.target, bench.kernel, join(ROOT, "fixtures/trouble"), { progress: silent, logDir: bench.dir });
    const trouble = await readFile(ko ?? "");
    await using source = await sourceWith(rehearsing(async (agent) => {
      await agent.writeFile("/run/t.ko", trouble, { timeoutMs: 20_000 });
      await agent.insmod("/run/t.ko", { timeoutMs: 20_000 });
      await agent.writeFile("/sys/module/buslab_trouble/parameters/do", Buffer.from("warn"), { timeoutMs: 20_000, control: true });
    }));
    assert.equal(await ask(await source.clone(), "cat /proc/modules; cat /proc/sys/kernel/tainted"), "0");
    assert.match(source.reasons.join(), /^its kernel reported by itself: .*buslab_trouble/);
  });

  test("are never forked from a parent that is tainted otherwise than its template", async () => {
    await using source = await sourceWith(rehearsing((agent) => agent.writeFile("/proc/sys/kernel/tainted", Buffer.from("512"), { timeoutMs: 20_000, control: true })));
    assert.equal(await ask(await source.clone(), "cat /proc/sys/kernel/tainted"), "0");
    assert.deepEqual(source.reasons, ["its kernel's taint went from 0 to 512 by itself"]);
  });

  test("are made after a first one that did not start, and forked", async () => {
    let refusals = 1;
    await using source = await sourceWith(async (...given) => {
      if (refusals-- > 0) throw new SuiteError("GUEST_LOST", "refused by this test");
      return connectWireAgent(...given);
    });
    await assert.rejects(source.clone(), /refused by this test/);
    assert.equal(await ask(await source.clone(), "echo alive"), "alive");
    await source.parentPid();
    assert.deepEqual(source.reasons, []);
  });

  test("a parent that is interrupted leaves nothing", async () => {
    const dir = await mkdtemp(join(tmpdir(), "buslab-source-"));
    const stop = new AbortController();
    const source = template.source({ name: `${runPrefix(bench.ctx.runId)}s${++count}parent`, dir: join(dir, "parent") });
    const cloning = source.clone({ name: `${runPrefix(bench.ctx.runId)}s${++count}`, dir: join(dir, "clone"), signal: stop.signal });
    try {
      // as soon as there is a process to be left: on a fast host all is done a tenth of a second later
      while ((await leftoversOf(bench.ctx.runId)).length === 0 && (await isPending(cloning))) await delay(1);
      stop.abort();
      await assert.rejects(cloning);
    } finally {
      await cloning.then(({ machine }) => machine.kill(), () => undefined);
      await source.close();
    }
    assert.deepEqual(await readdir(dir).then((names) => names.filter((name) => name === "parent")), []);
    assert.deepEqual(await leftoversOf(bench.ctx.runId), []);
    await rm(dir, { recursive: true, force: true });
  });
});

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(() => false, () => false);
  return Promise.race([settled, delay(0, true)]);
}
