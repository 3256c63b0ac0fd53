import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exec } from "../base/exec.ts";
import type { KernelEvent } from "../record/v1.ts";
import { moduleDecoder } from "./decode.ts";

const SOURCE = ["int seen;", "int add(int n)", "{", "\tseen = n;", "\treturn n + seen;", "}", "int call(int n)", "{", "\tint sum = add(n);", "\treturn sum * 2;", "}", ""].join("\n");
const event = (excerpt: string): KernelEvent => ({ kind: "oops", fingerprint: "oops: x", title: "x", consoleOffset: 0, excerpt });

/** An object file is as relocatable as a module. */
async function compiled(t: { after(undo: () => void): void }): Promise<{ readonly ko: string; readonly size: (symbol: string) => string; readonly returnsTo: string }> {
  const dir = mkdtempSync(join(tmpdir(), "buslab-decode-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "bus.c"), SOURCE);
  await exec(["gcc", "-g", "-O0", `-fdebug-prefix-map=${dir}/=fixtures/module/`, "-c", join(dir, "bus.c"), "-o", join(dir, "bus.o")], { cwd: "/" });
  const ko = join(dir, "bus.o");
  const table = (await exec(["nm", "-S", ko])).stdout;
  const disassembly = (await exec(["objdump", "-d", "--no-show-raw-insn", "--disassemble=call", ko])).stdout;
  const start = Number.parseInt(/^([0-9a-f]+) <call>:/m.exec(disassembly)?.[1] ?? "0", 16);
  const after = /call.*\n +([0-9a-f]+):/.exec(disassembly.slice(disassembly.indexOf("<call>:") + 8))?.[1] ?? "0";
  return { ko, size: (symbol) => Number.parseInt(new RegExp(`^\\S+ (\\S+) T ${symbol}$`, "m").exec(table)?.[1] ?? "0", 16).toString(16), returnsTo: (Number.parseInt(after, 16) - start).toString(16) };
}

test("a frame of the module names file and line, of the call and not of what comes after it", async (t) => {
  const { ko, size, returnsTo } = await compiled(t);
  const decoder = moduleDecoder(ko, "kdbus", "fixtures/module");

  const [decoded] = await decoder.decode([event([`RIP: 0010:add+0x0/0x${size("add")} [kdbus]`, ` call+0x${returnsTo}/0x${size("call")} [kdbus]`, " do_syscall_64+0x5b/0xc0"].join("\n"))]);

  assert.deepEqual(decoded?.excerpt.split("\n"), [
    `RIP: 0010:add+0x0/0x${size("add")} [kdbus] (fixtures/module/bus.c:3)`,
    ` call+0x${returnsTo}/0x${size("call")} [kdbus] (fixtures/module/bus.c:9)`,
    " do_syscall_64+0x5b/0xc0",
  ]);
});

test("what is not this module's, or of another build, stays as the kernel printed it", async (t) => {
  const { ko, size } = await compiled(t);
  const lines = [` add+0x1/0x${size("add")} [other]`, " add+0x1/0x9999 [kdbus]", " nobody+0x1/0x2 [kdbus]"].join("\n");

  assert.equal((await moduleDecoder(ko, "kdbus", "fixtures/module").decode([event(lines)]))[0]?.excerpt, lines);
  assert.equal((await moduleDecoder("/no/such.ko", "kdbus", "fixtures/module").decode([event(lines)]))[0]?.excerpt, lines);
});
