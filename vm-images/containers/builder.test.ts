import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DEFAULT_TARGET, TARGET_SPACE } from "../../buslab.config.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { cacheDir, ROOT } from "../../orchestration/base/paths.ts";
import { silent } from "../../orchestration/base/progress.ts";
import { selectTargets } from "../../orchestration/target/target-id.ts";
import { buildAgent } from "../agent/build.ts";
import type { Artifact, BuildContext } from "../cache.ts";
import { buildKernel } from "../kernel/build.ts";
import { kernelSpecOf } from "../kernel/spec.ts";
import { buildModule } from "../module/build.ts";
import { openBuilder, type ContainerToolchain } from "./builder.ts";
import { engineTrouble } from "./engine.ts";

const [target] = selectTargets(DEFAULT_TARGET, TARGET_SPACE);
assert.ok(target !== undefined);
let logDir: string;
let toolchain: ContainerToolchain;

const digests = ({ manifest }: Artifact): string[] => manifest.outputs.map(({ path, digest }) => `${path} ${digest}`);

describe("compilers in a container", { skip: (await engineTrouble()) ?? false }, () => {
  before(async () => {
    logDir = await mkdtemp(join(tmpdir(), "buslab-builder-"));
    toolchain = await openBuilder([target.arch], [], { progress: silent, logDir });
  });
  after(async () => {
    await toolchain[Symbol.asyncDispose]();
    await rm(logDir, { recursive: true, force: true });
  });

  test("agent and module are those of the host to the last bit, under keys of their own", async () => {
    const host: BuildContext = { progress: silent, logDir };
    const contained: BuildContext = { ...host, toolchain };
    const kernel = await buildKernel(target, kernelSpecOf(target.kernel), host);
    for (const build of [(ctx: BuildContext) => buildAgent(target.arch, ctx), (ctx: BuildContext) => buildModule(target, kernel, join(ROOT, "fixtures/trouble"), ctx)]) {
      const [here, there] = [await build(host), await build(contained)];
      assert.notEqual(there.key, here.key);
      assert.deepEqual(digests(there), digests(here));
    }
  });

  test("what runs there has no network, cannot change the repository, and writes files of this user into the cache", async () => {
    const interfaces = await toolchain.run(["ls", "/sys/class/net"]);
    assert.equal(interfaces.stdout.trim(), "lo");
    await assert.rejects(toolchain.run(["touch", join(ROOT, "README.md")]), (error: unknown) => error instanceof SuiteError && /Read-only file system/.test(error.details ?? ""));
    const path = join(cacheDir(), `builder-test-${process.pid}`);
    await toolchain.run(["sh", "-c", 'echo "$NAMED" >"$1"', "sh", path], { env: { NAMED: "value" } });
    const { stdout } = await exec(["sh", "-c", 'stat -c %u "$1" && cat "$1" && rm "$1"', "sh", path]);
    assert.equal(stdout, `${process.getuid?.() ?? 0}\nvalue\n`);
  });

  test("the container ends with the process that it serves, killed without warning too", async () => {
    const script = `import { openBuilder } from ${JSON.stringify(join(ROOT, "vm-images/containers/builder.ts"))};
      import { ARCHES } from ${JSON.stringify(join(ROOT, "orchestration/target/arches.ts"))};
      import { silent } from ${JSON.stringify(join(ROOT, "orchestration/base/progress.ts"))};
      const toolchain = await openBuilder([ARCHES.x86_64], [], { progress: silent, logDir: ${JSON.stringify(logDir)} });
      console.log((await toolchain.run(["hostname"])).stdout.trim());
      void toolchain.run(["sleep", "600"]);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    const id = said.toString().trim();
    assert.match(id, /^[0-9a-f]{12}$/);
    const status = async (): Promise<string> => (await exec(["docker", "inspect", "--format", "{{.State.Status}}", id])).stdout.trim();
    assert.equal(await status(), "running");
    child.kill("SIGKILL");
    for (let turn = 0; turn < 100 && (await status()) === "running"; turn++) await delay(100);
    assert.equal(await status(), "exited");
    await exec(["docker", "rm", id]);
  });

  test("a command that is given up leaves no process behind", async () => {
    const mark = join(cacheDir(), `builder-test-late-${process.pid}`);
    const abort = new AbortController();
    const given = toolchain.run(["sh", "-c", 'sleep 5; touch "$1"', "sh", mark], { signal: abort.signal });
    setTimeout(() => abort.abort(), 1_000);
    await assert.rejects(given, { code: "INTERRUPTED" });
    const left = await toolchain.run(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"]);
    assert.doesNotMatch(left.stdout, /sleep 5/);
    assert.equal(existsSync(mark), false);
  });
});
