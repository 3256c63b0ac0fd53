import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Limits } from "../base/deadline.ts";
import type { GuestAgent } from "../vm/guest-agent.ts";
import { readArea, readCollection } from "./collection.ts";
import { LineCollector } from "./collector.ts";

const words = (...numbers: number[]): Buffer => Buffer.from(new Uint32Array(numbers).buffer);
/** A counter file with one function of two counters. */
const counted = (first: number, second: number): Buffer => Buffer.concat([words(0x67636461, 1, 2, 3), words(0x01000000, 12, 7, 8, 9), words(0x01a10000, 16, first, 0, second, 0)]);

/** A guest whose two objects have these counters, asked for in the order of their names. */
function guest(counters: readonly (readonly [number, number])[], asked: string[] = []): GuestAgent {
  const agent: Pick<GuestAgent, "readFile"> = {
    readFile: (path) => {
      asked.push(path);
      const [first, second] = counters[path.endsWith("/a.gcda") ? 0 : 1] ?? [0, 0];
      return Promise.resolve(counted(first, second));
    },
  };
  return agent as GuestAgent;
}

test("counters are added up by area, without what every clone begins with; that stands once", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-collector-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const notes = join(dir, "notes");
  mkdirSync(notes);
  for (const name of ["b.gcno", "a.gcno", "a.c"]) writeFileSync(join(notes, name), "");
  const asked: string[] = [];
  const limits = new Limits();
  const collector = await LineCollector.start({ target: "x/y/none/cov", label: "fixtures/module", notes, guestDir: "/build/module" }, guest([[5, 0], [1, 1]], asked), limits);
  assert.deepEqual(asked, ["/sys/kernel/debug/gcov/build/module/a.gcda", "/sys/kernel/debug/gcov/build/module/b.gcda"]);

  const take = (id: string, counters: readonly (readonly [number, number])[]): Promise<unknown> => collector.probe.take({ target: "t", test: id, agent: guest(counters), limits, evidenceDir: dir });
  await take("msg/a.spec.ts:one", [[7, 0], [1, 1]]);
  await take("msg/a.spec.ts:two", [[6, 4], [1, 1]]);
  await take("pool/b.spec.ts:three", [[5, 0], [1, 9]]);
  await take("canary/c.spec.ts:oops", [[99, 99], [99, 99]]);

  const folder = await collector.finish(dir);
  const collection = await readCollection(folder);
  assert.deepEqual(collection.areas, ["loading", "msg", "pool"]);
  assert.deepEqual(collection.tests, ["msg/a.spec.ts:one", "msg/a.spec.ts:two", "pool/b.spec.ts:three"]);
  const of = async (area: string): Promise<string[]> => [...(await readArea(folder, collection, area)).values()].map((bytes) => Buffer.from(bytes).toString("hex"));
  const hex = (...files: (readonly [number, number])[]): string[] => files.map(([first, second]) => counted(first, second).toString("hex"));
  assert.deepEqual(await of("loading"), hex([5, 0], [1, 1]));
  assert.deepEqual(await of("msg"), hex([3, 4], [0, 0]));
  assert.deepEqual(await of("pool"), hex([0, 0], [0, 8]));
  assert.equal(readFileSync(join(folder, "msg", "a.gcda")).length, 60);
});

test("a guest whose counters are none is an error, not a module without lines", async (t) => {
  const notes = mkdtempSync(join(tmpdir(), "buslab-collector-"));
  t.after(() => rmSync(notes, { recursive: true, force: true }));
  writeFileSync(join(notes, "a.gcno"), "");
  const agent = { readFile: () => Promise.resolve(Buffer.from("nothing")) } as Partial<GuestAgent> as GuestAgent;
  const start = LineCollector.start({ target: "t", label: "m", notes, guestDir: "/x" }, agent, new Limits());

  await assert.rejects(start, /line counters of the module are damaged/);
});
