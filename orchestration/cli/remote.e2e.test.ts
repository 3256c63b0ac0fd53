import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { newRunKey } from "../guest/ssh.ts";
import { BuslabProcess, freshHome, outcomesOf, verdictOf } from "../run/buslab-process.ts";
import { REFERENCE_MODULE } from "./stages/build.ts";
import { onOneTarget } from "./stages/one-target.ts";
import { authorize } from "./stages/shell.ts";

/*
 * A whole run against a virtual machine that it knows nothing of but an address, a key and a host key: what a board in a
 * rack is to it.
 */

test("a machine that is reached by ssh alone runs the suite, and what it cannot show is named", { timeout: 1_800_000 }, async (t) => {
  const home = freshHome(t);
  await onOneTarget(undefined, { module: REFERENCE_MODULE }, async ({ built, template, accel, runId, dir, progress }) => {
    const { machine } = await template.clone({ name: `buslab-${runId}-board`, dir: join(dir, "board") });
    await using _machine = machine;
    progress.close();
    const key = newRunKey("board");
    await authorize(machine.agentSocket, key.publicLine, 5_000 * accel.slowdown);
    const port = await machine.forwardSsh();
    await mkdir(home, { recursive: true });
    await writeFile(join(home, "key"), key.privateKey, { mode: 0o600 });
    await writeFile(join(home, "host.pub"), built.image.hostKeyPub);
    const reach = [`ssh:root@127.0.0.1:${port}`, "--identity", join(home, "key"), "--host-key", join(home, "host.pub")];
    const subject = ["--kernel", "debian-6.1", "--module", REFERENCE_MODULE];

    const ended = await new BuslabProcess(home, ["run", ...reach, ...subject, "--json", "--grep", "NAME-075|NAME-022|MSG-001 |LSM-010"]).ended;

    const verdict = verdictOf(ended);
    const outcomes = outcomesOf(verdict);
    const kinds = Object.entries(outcomes).map(([id, kind]) => `${id.split("/")[0] ?? ""} ${kind}`);
    assert.equal(ended.exitCode, 0, `${ended.stderr}\n${JSON.stringify(outcomes)}\n${JSON.stringify(verdict.reasons)}`);
    assert.ok(kinds.filter((each) => each === "name passed").length >= 2, kinds.join(", "));
    assert.deepEqual(kinds.filter((each) => each.startsWith("lsm")), ["lsm unsupported"]);
    assert.deepEqual([verdict.canaries.right, verdict.canaries.planned], [2, 2]);
    assert.match(verdict.targets[0]?.id ?? "", /^x86_64\/ssh-127\.0\.0\.1-\d+\/none\/plain$/);

    const wrong = await new BuslabProcess(home, ["run", ...reach, "--kernel", "debian-6.1", "--module", "/nowhere.ko", "--grep", "NAME-075"]).ended;
    assert.match(wrong.stderr, /\/nowhere\.ko is not there[^]*next: /);
  });
});
