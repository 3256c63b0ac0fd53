import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SuiteError } from "../base/errors.ts";
import type { ConnectAgent } from "./guest-agent.ts";
import { leftoversOf } from "./leftovers.ts";
import type { MachineDriver } from "./machine.ts";
import { runPrefix } from "./run-name.ts";

export interface ContractOptions {
  readonly runId: string;
  /** Called once, before the first test; may take long (builds, boots). */
  readonly driver: () => Promise<MachineDriver>;
  readonly connectAgent: ConnectAgent;
  readonly answerLimitMs: number;
  /** Reason why this driver cannot be tested here. */
  readonly skip?: string | undefined;
}

/** What every driver of machines must do; a new one is accepted when it passes. */
export function driverContract(kind: string, options: ContractOptions): void {
  const { runId, connectAgent, answerLimitMs: timeoutMs } = options;
  describe(`machine driver ${kind}`, { skip: options.skip ?? false }, () => {
    let driver: MachineDriver;
    let dir = "";
    let count = 0;
    const start = (): ReturnType<MachineDriver["start"]> => driver.start({ label: `c${++count}`, dir: join(dir, `c${count}`) });

    before(async () => {
      dir = await mkdtemp(join(tmpdir(), "buslab-contract-"));
      driver = await options.driver();
    });
    after(async () => {
      assert.deepEqual(await leftoversOf(runId), []);
      await rm(dir, { recursive: true, force: true });
    });

    test("a machine carries the run's id where leftovers are looked for, and is gone after its end", async () => {
      const machine = await start();
      assert.ok(machine.name.startsWith(runPrefix(runId)));
      assert.deepEqual(await leftoversOf(runId), [machine.pid]);
      await machine.kill();
      assert.deepEqual(await leftoversOf(runId), []);
    });

    test("its agent answers, and answers the next client that follows at once", async () => {
      await using machine = await start();
      for (let client = 0; client < 12; client += 1) {
        const agent = await connectAgent(machine.agentSocket, { timeoutMs });
        await agent.ping({ timeoutMs });
        await agent.close();
      }
    });

    test("two machines have different agents and different consoles", async () => {
      await using one = await start();
      await using two = await start();
      assert.notEqual(one.agentSocket, two.agentSocket);
      assert.notEqual(one.consoleLog, two.consoleLog);
      const agents = await Promise.all([one, two].map((machine) => connectAgent(machine.agentSocket, { timeoutMs })));
      await Promise.all(agents.map((agent) => agent.ping({ timeoutMs })));
      await Promise.all(agents.map((agent) => agent.close()));
    });

    test("an end that we asked for is told as ours, however often it is asked for", async () => {
      const machine = await start();
      await Promise.all([machine.kill(), machine.kill()]);
      await machine.kill();
      assert.equal(machine.endedByUs, true);
      assert.equal((await machine.dead).kind, "killed");
      assert.equal(existsSync(machine.agentSocket), false);
    });

    test("a machine killed from outside is told as killed", async () => {
      const machine = await start();
      machine.murder();
      const death = await machine.dead;
      assert.equal(death.kind, "killed");
      assert.equal(machine.endedByUs, false);
      await machine.kill();
    });

    test("the console goes on where it was moved to", async () => {
      await using machine = await start();
      const path = join(dir, `evidence-${count}`, "console.log");
      await machine.moveConsole(path);
      assert.equal(machine.consoleLog, path);
      const { size } = await stat(path);
      assert.equal(typeof (await machine.dumpTasks()), "boolean");
      assert.ok((await stat(path)).size >= size);
    });

    test("a machine that ends while its agent is asked lets the asker know and leaves nothing", async () => {
      const machine = await start();
      const asked = assert.rejects(
        connectAgent(machine.agentSocket, { timeoutMs }).then(async (agent) => {
          await machine.kill();
          await agent.ping({ timeoutMs });
        }),
        (error: unknown) => error instanceof SuiteError && error.blame === "infrastructure",
      );
      await asked;
      assert.deepEqual(await leftoversOf(runId), []);
    });
  });
}
