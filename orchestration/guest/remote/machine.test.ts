import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Limits } from "../../base/deadline.ts";
import { newRunId } from "../../base/ids.ts";
import { scanConsole } from "../../vm/console/scan.ts";
import { AgentClient } from "../agent-client.ts";
import { agentBinary, needsRoot } from "../test-agent.ts";
import { ConsoleCommand } from "./console.ts";
import { RemoteHost, type RemoteOptions } from "./host.ts";
import { RemoteMachine } from "./machine.ts";
import { TestHost } from "./test-host.ts";

const OPTIONS = { skip: needsRoot, timeout: 120_000 };

interface Bench extends AsyncDisposable {
  readonly board: TestHost;
  readonly host: RemoteHost;
  start(label: string): Promise<RemoteMachine>;
}

async function bench(given: Partial<RemoteOptions> = {}): Promise<Bench> {
  const board = await TestHost.start();
  const host = new RemoteHost({ access: board.access, runId: newRunId(), agent: await agentBinary(), module: null, reboot: null, console: null, limits: new Limits(1), signal: new AbortController().signal, ...given });
  return {
    board,
    host,
    start: async (label) => (await RemoteMachine.start(host, { name: `buslab-x-${label}`, dir: join(board.dir, label), socketDir: board.dir })).machine,
    [Symbol.asyncDispose]: async () => {
      await host[Symbol.asyncDispose]();
      board[Symbol.dispose]();
    },
  };
}

test("the agent answers one client after the other through an ssh channel, on one machine after the other", OPTIONS, async () => {
  await using own = await bench();
  for (const label of ["one", "two"]) {
    await using machine = await own.start(label);
    for (const word of ["first", "second"]) {
      await using agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: 20_000 });
      assert.equal((await agent.exec(["echo", word])).stdout, `${word}\n`);
    }
  }
});

test("a test sees what its kernel logged while it had the machine, and nothing of before", OPTIONS, async () => {
  await using own = await bench();
  own.board.log("4,1,1000000,-;WARNING: CPU: 0 PID: 1 at before.c:1 of_the_test_before+0x1/0x2");
  await using machine = await own.start("logged");
  own.board.log("4,2,9000000,-;WARNING: CPU: 0 PID: 97 at main.c:77 kdbus_trouble+0x1/0x2");
  while (!readFileSync(machine.consoleLog, "utf8").includes("main.c:77")) await delay(10);

  const events = scanConsole(readFileSync(machine.consoleLog));

  assert.deepEqual(events.map(({ kind, title }) => [kind, /main\.c:77/.test(title)]), [["warn", true]]);
});

test("a broken connection to the same kernel accuses nobody", OPTIONS, async () => {
  await using own = await bench();
  await using machine = await own.start("dropped");
  own.board.drop();
  const death = await machine.dead;
  assert.equal(death.kind, "qemu-failed");
  assert.match(death.detail, /the same kernel was reached by a new connection/);
});

test("another boot is a reset, and the next test gets the machine as that boot has it", OPTIONS, async () => {
  await using own = await bench();
  await using machine = await own.start("crashing");
  own.board.boot("second");
  own.board.drop();
  assert.equal((await machine.dead).kind, "reset");
  await using next = await own.start("after");
  await using agent = await AgentClient.connect(next.agentSocket, { timeoutMs: 20_000 });
  await agent.ping();
});

test("a machine that does not answer any more hangs, and its serial line tells the panic", OPTIONS, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-serial-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const serial = join(dir, "line");
  writeFileSync(serial, "[    1.000000] an old line\n");
  await using command = new ConsoleCommand(`tail -n +1 -s 0.01 -f ${serial}`, `${serial}.log`);
  while ((await command.size()) === 0) await delay(10);
  await using own = await bench({ console: command });
  await using machine = await own.start("dead");
  writeFileSync(serial, "[    9.000000] Kernel panic - not syncing: Fatal exception\n", { flag: "a" });
  while (!(await command.since(0)).includes("panic")) await delay(10);
  own.board.stop();

  assert.equal((await machine.dead).kind, "hung");
  assert.deepEqual(scanConsole(readFileSync(machine.consoleLog)).map(({ kind }) => kind), ["panic"]);
});

test("a dirty machine is refused with the reason, and is rebooted where somebody can", OPTIONS, async () => {
  await using plain = await bench();
  plain.board.renewed = { says: "dirty: the module does not unload: in use", exitCode: 3 };
  await assert.rejects(plain.start("dirty"), { code: "VM_START_FAILED", message: /does not unload: in use; with --reboot COMMAND/ });

  const flag = join(plain.board.dir, "rebooted");
  await using own = await bench({ reboot: `touch ${flag}` });
  own.board.renewed = { says: "dirty: in use", exitCode: 3 };
  const rebooting = own.start("again");
  while (!existsSync(flag)) await delay(10);
  own.board.boot("second");
  own.board.renewed = { says: "0", exitCode: 0 };
  await using machine = await rebooting;
  assert.equal(own.host.boot, "second");
  assert.ok(machine.agentSocket !== "");
});
