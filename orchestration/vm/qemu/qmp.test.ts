import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { Qmp } from "./qmp.ts";

/** A monitor at the other end of which these errors answer `cont` one after the other, and then success. */
async function refusing(t: TestContext, errors: readonly string[]): Promise<{ monitor: Qmp; asked: string[] }> {
  const dir = await mkdtemp(join(tmpdir(), "buslab-qmp-"));
  const path = join(dir, "q");
  const { connected } = await Qmp.listen(path);
  const asked: string[] = [];
  const left = [...errors];
  const socket = createConnection(path);
  createInterface({ input: socket }).on("line", (line) => {
    const { execute, id } = JSON.parse(line) as { execute: string; id: number };
    asked.push(execute);
    const desc = execute === "cont" ? left.shift() : undefined;
    socket.write(`${JSON.stringify(desc === undefined ? { id, return: {} } : { id, error: { class: "GenericError", desc } })}\n`);
  });
  t.after(async () => {
    socket.destroy();
    await rm(dir, { recursive: true, force: true });
  });
  return { monitor: await connected, asked };
}

test("a guest goes on although QEMU was not ready for it yet", async (t) => {
  const { monitor, asked } = await refusing(t, ["Migration is not finalized yet", "Migration is not finalized yet"]);
  await monitor.goOn(10_000);
  assert.deepEqual(asked, ["qmp_capabilities", "cont", "cont", "cont"]);
});

test("it is not asked for ever, nor again after another refusal", async (t) => {
  const never = await refusing(t, Array.from({ length: 1000 }, () => "Migration is not finalized yet"));
  await assert.rejects(never.monitor.goOn(30), /QEMU refused cont: Migration is not finalized yet/);
  const other = await refusing(t, ["Resetting the Virtual Machine is required"]);
  await assert.rejects(other.monitor.goOn(10_000), /Resetting/);
  assert.deepEqual(other.asked, ["qmp_capabilities", "cont"]);
});
