import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "./checkers.ts";

const CHECKER = { name: "lockdep", config: ["CONFIG_PROVE_LOCKING"], alive: { path: "/proc/lockdep_stats", sign: /^ *debug_locks: +1$/m }, accepts: { path: "/leak", text: "scan=off" }, inModule: "__asan_" };
const ON = new Map([["CONFIG_PROVE_LOCKING", "y"]]);
const MODULE = Buffer.from("...__asan_load8...");
const agent = (stats: string, refusal?: string) => ({
  readText: () => Promise.resolve(stats),
  writeFile: () => (refusal === undefined ? Promise.resolve() : Promise.reject(new Error(refusal))),
});
const GOOD = " direct dependencies:  1 [max: 2]\n debug_locks:                             1\n";

test("a checker is on only when configuration, sign of life, command and module all say so", async () => {
  assert.equal((await ask(CHECKER, ON, MODULE, agent(GOOD))).on, true);
  assert.match((await ask(CHECKER, new Map(), MODULE, agent(GOOD))).says, /CONFIG_PROVE_LOCKING is not set/);
  assert.match((await ask(CHECKER, ON, MODULE, agent(" debug_locks:      0\n"))).says, /does not show/);
  assert.match((await ask(CHECKER, ON, MODULE, agent(GOOD, "Operation not permitted"))).says, /refuses "scan=off": Operation not permitted/);
  assert.match((await ask(CHECKER, ON, Buffer.from("plain"), agent(GOOD))).says, /not compiled for it/);
});
