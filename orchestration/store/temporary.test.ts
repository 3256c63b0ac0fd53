import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, utimesSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { temporaryFolderOf } from "./temporary.ts";

test("folders of dead owners go after an hour; those of the living, the young and strangers stay", async () => {
  const within = await temporaryFolderOf("store");
  try {
    const dead = spawnSync("true").pid;
    const names = { dead: `buslab-postgres-${dead}-old`, young: `buslab-store-${dead}-young`, living: `buslab-store-${process.pid}-old`, stranger: `other-${dead}-old` };
    for (const name of Object.values(names)) {
      mkdirSync(join(within, name, "data"), { recursive: true });
      if (name !== names.young) utimesSync(join(within, name), 0, 0);
    }
    const made = await temporaryFolderOf("postgres", within);
    assert.ok(existsSync(made) && made.includes(`buslab-postgres-${process.pid}-`));
    assert.deepEqual(Object.values(names).filter((name) => !existsSync(join(within, name))), [names.dead]);
  } finally {
    await rm(within, { recursive: true });
  }
});
