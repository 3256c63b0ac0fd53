import assert from "node:assert/strict";
import { mkdir, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SuiteError, type ErrorCode } from "../../base/errors.ts";
import { ROOT } from "../../base/paths.ts";
import { silent } from "../../base/progress.ts";
import { buildModule } from "../../../vm-images/index.ts";
import { connectWireAgent } from "../fake/wire-agent.ts";
import { leftoversOf, sweepLeftovers } from "../leftovers.ts";
import type { LeaseReport } from "../lease.ts";
import { PoolClient } from "../pool-client.ts";
import { startPool, type Pool } from "../pool.ts";
import { prepareTemplate, type TemplateSpec } from "../template.ts";
import { qemuBench, SKIP_QEMU, type QemuBench } from "./test-support.ts";

/** Real faults of real guests, each called by its name. */
describe("faults of a guest", { skip: SKIP_QEMU ?? false }, () => {
  let bench: QemuBench;
  before(async () => {
    bench = await qemuBench();
  });
  after(async () => {
    await sweepLeftovers(bench.ctx.runId);
    await rm(bench.dir, { recursive: true, force: true });
  });

  /** A module of this body, registering a file system so that it can be mounted like the bus. */
  const moduleOf = async (name: string, init: string): Promise<TemplateSpec> => {
    const dir = join(bench.dir, name);
    await mkdir(dir);
    await writeFile(join(dir, "Kbuild"), `obj-m := ${name}.o\n`);
    await writeFile(
      join(dir, `${name}.c`),
      `#include <linux/module.h>\n#include <linux/delay.h>\nstatic int __init start(void)\n{\n\t${init}\n}\nmodule_init(start);\nMODULE_LICENSE("GPL");\n`,
    );
    const built = await buildModule(bench.target, bench.kernel, dir, { progress: silent, logDir: bench.dir });
    return { ...bench.spec, module: { key: built.key, ko: built.ko, name: built.name } };
  };
  const refused = async (spec: TemplateSpec, code: ErrorCode): Promise<SuiteError> => {
    let thrown: unknown;
    await prepareTemplate(spec, bench.ctx).catch((error: unknown) => (thrown = error));
    assert.ok(thrown instanceof SuiteError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.deepEqual(await leftoversOf(bench.ctx.runId), []);
    return thrown;
  };

  test("a module that panics at load is MODULE_LOAD_FAILED with its stack", async () => {
    const error = await refused(await moduleOf("panics", "BUG(); return 0;"), "MODULE_LOAD_FAILED");
    assert.equal(error.blame, "subject");
    assert.match(error.details ?? "", /start\+0x.*\[panics\]|RIP/);
  });

  test("a module that the kernel refuses is MODULE_LOAD_FAILED with the errno", async () => {
    assert.match((await refused(await moduleOf("refuses", "return -ENOTTY;"), "MODULE_LOAD_FAILED")).message, /Inappropriate ioctl|ENOTTY/);
  });

  test("a module that hangs the kernel at load is MODULE_LOAD_FAILED", async () => {
    const error = await refused(await moduleOf("hangs", "local_irq_disable(); for (;;) cpu_relax(); return 0;"), "MODULE_LOAD_FAILED");
    assert.match(error.message, /hangs/);
  });

  test("a module that loads but brings no file system is MODULE_LOAD_FAILED at the mount", async () => {
    assert.match((await refused(await moduleOf("empty", "return 0;"), "MODULE_LOAD_FAILED")).message, /cannot be mounted/);
  });

  test("a kernel that finds no root file system is KERNEL_BOOT_FAILED with its panic", async () => {
    const error = await refused({ ...bench.spec, extraKernelArgs: ["root=/dev/vdz"] }, "KERNEL_BOOT_FAILED");
    assert.match(`${error.message}${error.details ?? ""}`, /Unable to mount root fs/);
  });

  test("a missing QEMU is HOST_TOOL_MISSING naming the package", async () => {
    const arch = { ...bench.target.arch, qemu: { ...bench.target.arch.qemu, binary: "qemu-system-nowhere" } };
    assert.match((await refused({ ...bench.spec, target: { ...bench.target, arch } }, "HOST_TOOL_MISSING")).message, /qemu-system-x86/);
  });

  test("a template is reused, and made again when a part of it is damaged", async () => {
    const first = await prepareTemplate(bench.spec, bench.ctx);
    assert.equal((await prepareTemplate(bench.spec, bench.ctx)).state, "reused");
    const state = join(first.dir, "state");
    await truncate(state, 1000);
    const second = await prepareTemplate(bench.spec, bench.ctx);
    assert.equal(second.state, "built");
    assert.match(second.because, /state/);
    await using ram = await open(join(second.dir, "ram"), "r+");
    await ram.write(Buffer.alloc(4096, 0xff), 0, 4096, 0x100_0000);
    await ram.close();
    assert.match((await prepareTemplate(bench.spec, bench.ctx)).because, /ram was changed/);
  });

  describe("in the pool", () => {
    let pool: Pool;
    let client: PoolClient;
    before(async () => {
      const template = await prepareTemplate(bench.spec, bench.ctx);
      pool = await startPool({
        templates: new Map([[bench.target.id, template]]),
        facts: new Map(),
        slots: 2,
        runDir: join(bench.dir, "run"),
        runId: bench.ctx.runId,
        limits: bench.spec.limits,
        connectAgent: connectWireAgent,
        appendRecord: async () => undefined,
      });
      client = await PoolClient.connect(pool.socketPath);
    });
    after(async () => {
      await client.close();
      await pool.close();
      assert.deepEqual(await leftoversOf(bench.ctx.runId), []);
    });

    /** Loads the trouble module into a leased guest and writes a word to it. */
    const trouble = async (word: string): Promise<{ report: LeaseReport; evidence: string }> => {
      const built = await buildModule(bench.target, bench.kernel, join(ROOT, "fixtures/trouble"), { progress: silent, logDir: bench.dir });
      const grant = await client.lease(bench.target.id, word);
      const agent = await connectWireAgent(grant.agentSocket, { timeoutMs: 20_000 });
      await agent.writeFile("/run/t.ko", await readFile(built.ko ?? ""), { timeoutMs: 20_000 });
      await agent.insmod("/run/t.ko", { timeoutMs: 20_000 });
      await agent.writeFile("/sys/module/buslab_trouble/parameters/do", Buffer.from(word), { timeoutMs: 3_000, control: true }).catch(() => undefined);
      await agent.close();
      return { report: await client.release(grant.lease, false), evidence: grant.evidenceDir };
    };

    for (const [word, kinds, death] of [
      ["warn", ["warn"], undefined],
      ["oops", ["oops"], "panic"],
      ["panic", ["panic"], "panic"],
      ["kasan-text", [], undefined],
      ["garble", [], undefined],
      ["lockup", [], "hung"],
    ] as const) {
      test(`${word} is called by its name`, async () => {
        const { report, evidence } = await trouble(word);
        assert.deepEqual([report.events.map(({ kind }) => kind), report.death?.kind, report.consoleRead], [kinds, death, true]);
        if (kinds.length > 0 || death !== undefined) assert.ok((await readdir(evidence)).includes("console.log"));
      });
    }

    test("a killed QEMU is a killed machine, and the next lease gets a fresh one", async () => {
      const grant = await client.lease(bench.target.id, "killed");
      await client.killQemu(grant.lease);
      assert.equal((await client.release(grant.lease, false)).death?.kind, "killed");
      const next = await client.lease(bench.target.id, "next");
      assert.deepEqual(await client.release(next.lease, false), { events: [], death: null, consoleRead: true });
    });

    test("clones have their own random numbers, the right time, and see nothing of each other's disk", async () => {
      const told = [];
      for (const name of ["a", "b"]) {
        const grant = await client.lease(bench.target.id, `clone ${name}`);
        const agent = await connectWireAgent(grant.agentSocket, { timeoutMs: 20_000 });
        const { stdout } = await agent.exec(["sh", "-c", "head -c 16 /dev/urandom | od -An -tx1; date +%s; ls /root/mark 2>&1; touch /root/mark; sync"], { timeoutMs: 30_000 });
        const [random = "", seconds = "", mark = ""] = stdout.split("\n");
        told.push(random);
        assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 10, stdout);
        assert.match(mark, /No such file/);
        await agent.close();
        await client.release(grant.lease, false);
      }
      assert.notEqual(told[0], told[1]);
    });
  });
});
