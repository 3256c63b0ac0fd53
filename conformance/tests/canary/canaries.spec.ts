import { expect, test } from "../../support/index.ts";
import { loadTrouble, makeTrouble, printed } from "./trouble.ts";

/*
 * Planted faults with the names by which the harness must call them. They run in the queue of every run. Some "pass" and
 * some "fail" for the runner; the judge looks at the outcome alone, and one wrong name makes the whole verdict undecided.
 * A failure is declared with test.fail, because the runner throws a worker away after one that is not.
 */
const canary = (expected: string): { annotation: { type: string; description: string } } => ({ annotation: { type: "canary", description: expected } });

/** It may be planted in a machine that is not ours alone; `rebootable`: if somebody can reboot it and read its console. */
const inMachine = (kind: "any" | "rebootable"): { type: string; description: string } => ({ type: "machine", description: kind });

test.fail("a panic is called a crash", { annotation: [canary("crashed: panic").annotation, inMachine("rebootable")] }, async ({ agent }) => {
  await agent.sysrq("c").catch(() => undefined); // the answer dies with the kernel
});

test.fail("an oops is called a crash", canary("crashed: oops"), async ({ agent }) => {
  await loadTrouble(agent);

  await makeTrouble(agent, "oops").catch(() => undefined);
});

test.fail("a warning is called a crash although everything else goes well", canary("crashed: warn"), async ({ agent }) => {
  await loadTrouble(agent);

  await makeTrouble(agent, "warn");

  await agent.ping();
});

test.fail("a kernel that hangs is called timed out", canary("timed-out"), async ({ agent, machine }) => {
  await loadTrouble(agent, "seconds=300");

  void makeTrouble(agent, "lockup").catch(() => undefined); // spins with interrupts off: no answer comes
  await printed(machine, "buslab_trouble: lockup");
});

test.fail("a machine killed from outside is no fault of the kernel", canary("infra-error: VM_DIED"), async ({ agent, machine }) => {
  await agent.ping();

  await machine.killQemu();
});

test(
  "a lost result is called lost",
  { annotation: [canary("infra-error: RESULT_LOST").annotation, { type: "lose-result" }, inMachine("any")] },
  async ({ agent }) => {
    await agent.ping();
  },
);

test("kernel text in the middle of results changes none of them", canary("passed"), async ({ agent }) => {
  await loadTrouble(agent, "milliseconds=300");

  const garbling = makeTrouble(agent, "garble");
  await agent.writeFile("/dev/kmsg", "Kernel panic - not syncing: says somebody in user space\n", { control: true });
  const results = [];
  for (let count = 0; count < 5; count += 1) results.push((await agent.exec(["echo", `result ${count}`])).stdout);
  await garbling;

  expect(results).toEqual([0, 1, 2, 3, 4].map((count) => `result ${count}\n`));
});

test("a user's line that reads like a panic is none", { annotation: [canary("passed").annotation, inMachine("any")] }, async ({ agent }) => {
  await agent.writeFile("/dev/kmsg", "Kernel panic - not syncing: says somebody in user space\n", { control: true });

  expect((await agent.exec(["echo", "still here"])).stdout).toBe("still here\n");
});
