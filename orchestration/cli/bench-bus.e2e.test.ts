import assert from "node:assert/strict";
import { test } from "node:test";
import type { BenchDocument, Figure } from "../bench/figures.ts";
import { BuslabProcess, freshHome } from "../run/buslab-process.ts";

test("two boots of the machine that counts instructions agree to the last one, a broker of Debian among them", { timeout: 900_000 }, async (t) => {
  const bench = new BuslabProcess(freshHome(t), ["bench", "bus", "--no-wall", "--only", "kdbus,AF_UNIX stream,dbus-broker", "--json"]);
  const ended = await bench.ended;
  assert.equal(ended.exitCode, 0, ended.stderr);

  const { figures } = JSON.parse(ended.stdout) as BenchDocument;
  assert.deepEqual(figures.filter(({ exact }) => !exact), []);
  const of = (transport: string, what: string): Figure => figures.find(({ name }) => name === `round trip of 64 B, ${transport}: ${what}`) ?? assert.fail(`no ${what} of ${transport}`);
  for (const transport of ["kdbus", "AF_UNIX stream", "dbus-broker"]) assert.ok(of(transport, "time by counted instructions").value > 1000, transport);
  // what the loops of the program do, whoever carries the message: write and read on each side of a socket, SEND and FREE, poll, RECV, SEND and FREE on the bus
  assert.equal(of("AF_UNIX stream", "system calls").value, 4);
  assert.equal(of("kdbus", "system calls").value, 6);
});
