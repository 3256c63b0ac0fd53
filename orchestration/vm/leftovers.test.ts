import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { spawnTied } from "../base/exec.ts";
import { newRunId } from "../base/ids.ts";
import { leftoversOf, sweepLeftovers } from "./leftovers.ts";

test("a sweep ends what carries the run's id and nothing of another run", async () => {
  const [mine, other] = [newRunId(), newRunId()];
  const start = (run: string): ReturnType<typeof spawnTied> => spawnTied(["sh", "-c", "sleep 60; :", "sh", "-name", `buslab-${run}-m1`], { stdio: "ignore" });
  const children = [start(mine), start(other)];
  await Promise.all(children.map((child) => once(child, "spawn")));
  while ((await leftoversOf(mine)).length + (await leftoversOf(other)).length < 2) await new Promise((resolve) => setTimeout(resolve, 5));

  const ended = once(children[0] ?? assert.fail(), "exit");
  const swept = await sweepLeftovers(mine);
  await ended;
  assert.deepEqual(swept, [children[0]?.pid]);
  assert.deepEqual(await leftoversOf(other), [children[1]?.pid]);

  await sweepLeftovers(other);
  assert.deepEqual(await leftoversOf(other), []);
});

test("a word that is no run id sweeps nothing", async () => {
  await assert.rejects(sweepLeftovers(""), /no run id/);
});
