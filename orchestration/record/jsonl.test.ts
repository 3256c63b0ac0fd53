import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { parseRecords, readRecords, RecordWriter, type Disk } from "./jsonl.ts";
import type { RecordFields } from "./v1.ts";

const fact = (value: unknown): RecordFields => ({ type: "fact", target: "t", name: "n", value });

function folder(t: { after(undo: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), "buslab-jsonl-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("what is appended is read back, numbered per writer", async (t) => {
  const path = join(folder(t), "records.jsonl");
  using one = new RecordWriter({ path, run: "r", writer: "one" });
  using two = new RecordWriter({ path, run: "r", writer: "two" });
  one.append(fact("a\nb"));
  two.append(fact(1));
  one.append(fact(2));
  const log = await readRecords(path);
  assert.deepEqual(log.records.map((record) => [record.writer, record.seq]), [["one", 0], ["two", 0], ["one", 1]]);
  assert.deepEqual([log.torn, log.gaps, one.failure], [[], [], undefined]);
});

test("a torn line spoils itself alone and is counted", async (t) => {
  const path = join(folder(t), "records.jsonl");
  using writer = new RecordWriter({ path, run: "r", writer: "w" });
  writer.append(fact(1));
  appendFileSync(path, '\n{"schema":"buslab.record/1","ty');
  writer.append(fact(2));
  const log = await readRecords(path);
  assert.equal(log.records.length, 2);
  assert.deepEqual(log.torn, [{ line: 3, text: '{"schema":"buslab.record/1","ty' }]);
});

test("a line of JSON that is no record is torn too, and a missing number is a gap", () => {
  const line = (seq: number): string => JSON.stringify({ schema: "buslab.record/1", run: "r", at: "", writer: "w", seq, ...fact(1) });
  const log = parseRecords(`${line(0)}\n{"schema":"buslab.record/1","type":"fact"}\n[]\n${line(3)}\n${line(1)}`);
  assert.equal(log.torn.length, 2);
  assert.deepEqual(log.gaps, ["w:2-2"]);
});

test("a record of a newer buslab is refused by name", () => {
  assert.throws(() => parseRecords('{"schema":"buslab.record/9"}'), /buslab.record\/9.*reads up to buslab.record\/1/);
});

/** A disk that fails writes to records.jsonl while `full` says so; a removed reserve frees room for `roomAfterReserve` writes. */
function failingDisk(state: { full: boolean; roomAfterReserve: number; short?: boolean }): { disk: Disk; text: () => string } {
  let text = "";
  const names = new Map<number, string>();
  let next = 3;
  const full = (): Error => Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  return {
    text: () => text,
    disk: {
      open: (path) => (names.set(next, path), next++),
      write: (fd, data) => {
        if (names.get(fd)?.endsWith(".reserve") === true) return data.length;
        if (state.full && state.roomAfterReserve <= 0) {
          if (state.short !== true) throw full();
          text += data.toString().slice(0, 20);
          return 20;
        }
        if (state.full) state.roomAfterReserve -= 1;
        text += data.toString();
        return data.length;
      },
      sync: () => undefined,
      close: () => undefined,
      remove: () => {
        state.roomAfterReserve += 2;
      },
    },
  };
}

test("on a full disk the reserve is given up, and the records after it are held back until there is room", () => {
  const state = { full: false, roomAfterReserve: 0, short: true };
  const { disk, text } = failingDisk(state);
  const writer = new RecordWriter({ path: "records.jsonl", run: "r", writer: "w", disk });
  writer.append(fact(0));
  state.full = true;
  for (const value of [1, 2, 3, 4]) writer.append(fact(value)); // 1 and 2 fit into the reserve
  assert.equal(writer.heldBack, 2);
  assert.equal(writer.failure?.code, "HOST_DISK_FULL");
  state.full = false;
  writer.append(fact(5));
  const log = parseRecords(text());
  assert.deepEqual(log.records.map((record) => record.seq), [0, 1, 2, 3, 4, 5]);
  assert.ok(log.torn.length > 0);
  assert.deepEqual(log.gaps, []);
});

test("on a file system that is really full, everything recorded before stays readable", async (t) => {
  const mount = folder(t);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]).status !== 0) {
    t.skip("this host does not let us mount a small file system");
    return;
  }
  try {
    const path = join(mount, "records.jsonl");
    const writer = new RecordWriter({ path, run: "r", writer: "w", reserveBytes: 64 * 1024 });
    const long = "x".repeat(10_000);
    for (let count = 0; count < 150; count += 1) writer.append(fact(long));
    assert.equal(writer.failure?.code, "HOST_DISK_FULL");
    assert.ok(writer.heldBack > 0);
    const log = await readRecords(path);
    assert.equal(log.records.length, 150 - writer.heldBack);
    assert.deepEqual(log.gaps, []);
    writer.close();
  } finally {
    spawnSync("umount", [mount]);
  }
});

test("kill -9 of a writer loses nothing that append returned from", async (t) => {
  const path = join(folder(t), "records.jsonl");
  const program = `
    import { RecordWriter } from ${JSON.stringify(join(import.meta.dirname, "jsonl.ts"))};
    const writer = new RecordWriter({ path: ${JSON.stringify(path)}, run: "r", writer: "w" });
    for (let n = 0; ; n += 1) { writer.append({ type: "fact", target: "t", name: "n", value: n }); process.stdout.write(n + "\\n"); }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
    if (said.length > 400) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  const last = Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1));
  const log = await readRecords(path);
  assert.ok(log.records.length > last, `${log.records.length} records, ${last} was acknowledged`);
  assert.deepEqual(log.gaps, []);
});

test("the reserve is gone after a good close", (t) => {
  const path = join(folder(t), "records.jsonl");
  const writer = new RecordWriter({ path, run: "r", writer: "w" });
  assert.ok(existsSync(`${path}.w.reserve`));
  writer.append(fact(1));
  writer.close();
  assert.ok(!existsSync(`${path}.w.reserve`));
  assert.ok(readFileSync(path, "utf8").startsWith("\n{"));
});
