import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "../base/exec.ts";
import { ROOT } from "../base/paths.ts";
import { encodePrograms, parsePrograms, type Program } from "./program.ts";

/** The guest's half, built for this host: making and printing programs needs no bus. */
let fuzzer = "";
let dir = "";
before(async () => {
  const cache = join(ROOT, "node_modules/.cache/buslab-fuzzer");
  mkdirSync(cache, { recursive: true });
  await exec(["flock", join(cache, "lock"), "make", "-s", "-j2", "-C", join(ROOT, "vm-images/fuzzer"), `OUT=${join(cache, "fuzzer")}`]);
  fuzzer = join(cache, "fuzzer");
  dir = mkdtempSync(join(tmpdir(), "buslab-fuzz-"));
});
after(() => rmSync(dir, { recursive: true, force: true }));

async function generate(words: readonly string[]): Promise<Buffer> {
  const file = join(dir, "out");
  await exec([fuzzer, "generate", ...words, "--new", file]);
  return readFileSync(file);
}

test("a program is a function of its seed and its number, whatever was made before it", async () => {
  const all = await generate(["--seed", "7", "--first", "0", "--count", "300"]);
  assert.deepEqual(await generate(["--seed", "7", "--first", "0", "--count", "300"]), all);
  const programs = parsePrograms(all);
  for (const index of [0, 1, 137, 299]) {
    assert.deepEqual(parsePrograms(await generate(["--seed", "7", "--first", String(index), "--count", "1"])), [programs[index]]);
  }
  assert.notDeepEqual(await generate(["--seed", "8", "--first", "0", "--count", "300"]), all);
});

test("with a corpus it is a function of the corpus as well", async () => {
  const corpus = join(dir, "corpus");
  writeFileSync(corpus, await generate(["--seed", "1", "--count", "20"]));
  const words = ["--seed", "7", "--first", "0", "--count", "300"];
  const all = await generate([...words, "--corpus", corpus]);
  assert.deepEqual(await generate([...words, "--corpus", corpus]), all);
  assert.notDeepEqual(await generate(words), all);
  const [, , third] = parsePrograms(all);
  assert.deepEqual(parsePrograms(await generate(["--seed", "7", "--first", "2", "--count", "1", "--corpus", corpus])), [third]);
});

test("programs written by the host are the bytes that the guest wrote", async () => {
  const bytes = await generate(["--seed", "3", "--count", "500"]);
  const programs = parsePrograms(bytes);
  assert.equal(programs.length, 500);
  assert.equal(Buffer.compare(encodePrograms(programs), bytes), 0);
});

test("the guest reads what the host has made smaller", async () => {
  const [first, second] = parsePrograms(await generate(["--seed", "3", "--count", "2"]));
  assert.ok(first !== undefined && second !== undefined);
  const file = join(dir, "smaller");
  writeFileSync(file, encodePrograms([{ ...first, calls: first.calls.slice(0, 2) }, { ...second, calls: second.calls.map((call) => ({ ...call, data: call.data.slice(0, 16) })) }]));
  const { stdout } = await exec([fuzzer, "show", file]);
  assert.match(stdout, /^2 calls as /m);
  assert.match(stdout, new RegExp(`^${second.calls.length} calls as `, "m"));
});

test("damaged programs are refused by both, not run in part", async () => {
  const bytes = new Uint8Array(await generate(["--seed", "3", "--count", "1"]));
  assert.throws(() => parsePrograms(bytes.subarray(0, bytes.length - 4)), /damaged at byte 0/);
  assert.throws(() => parsePrograms(new Uint8Array(40)), /no program begins there/);
  writeFileSync(join(dir, "cut"), bytes.subarray(0, bytes.length - 4));
  await assert.rejects(exec([fuzzer, "show", join(dir, "cut")]), /exit code 2/);
});

test("the generator reaches every call, every command and every place of memory", async () => {
  const programs = parsePrograms(await generate(["--seed", "1", "--count", "3000"]));
  const calls = programs.flatMap((program) => program.calls);
  const [IOCTL, COMMANDS] = [2, 16];
  assert.deepEqual([...new Set(calls.map(({ op }) => op))].sort((a, b) => a - b), Array.from({ length: 23 }, (_, n) => n + 1));
  assert.deepEqual([...new Set(calls.filter(({ op }) => op === IOCTL).map(({ args }) => Math.min(args[1], COMMANDS)))].sort((a, b) => a - b), Array.from({ length: COMMANDS + 1 }, (_, n) => n));
  assert.equal(new Set(calls.map(({ place }) => place)).size, 8);
  assert.equal(new Set(programs.map(({ sandbox }) => sandbox)).size, 4);
});

test("what takes something mostly goes where an earlier call left it", async () => {
  const programs = parsePrograms(await generate(["--seed", "2", "--count", "1500"]));
  const [IOCTL, SEND, RECV, NAME_ACQUIRE, NAME_RELEASE, MATCH_ADD, MATCH_REMOVE] = [2, 10, 11, 12, 13, 14, 15];
  const PATCH_ID = 3;
  const share = (taker: number, left: (earlier: Program["calls"][number], slot: number) => boolean): number => {
    let [all, good] = [0, 0];
    for (const { calls } of programs) {
      calls.forEach((call, n) => {
        if (call.op !== IOCTL || call.args[1] !== taker) return;
        all += 1;
        if (calls.slice(0, n).some((earlier) => earlier.op === IOCTL && left(earlier, call.args[0]))) good += 1;
      });
    }
    assert.ok(all > 100, `${all} calls of command ${taker}`);
    return good / all;
  };
  const shares = [
    share(RECV, (earlier, slot) => earlier.args[1] === SEND && earlier.patches.some(({ kind, slot: to }) => kind === PATCH_ID && to === slot)),
    share(NAME_RELEASE, (earlier, slot) => earlier.args[1] === NAME_ACQUIRE && earlier.args[0] === slot),
    share(MATCH_REMOVE, (earlier, slot) => earlier.args[1] === MATCH_ADD && earlier.args[0] === slot),
  ];
  assert.ok(shares.every((one) => one > 0.6), `shares of RECV, NAME_RELEASE, MATCH_REMOVE: ${shares.map((one) => one.toFixed(2)).join(" ")}`);
});
