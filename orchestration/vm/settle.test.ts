import assert from "node:assert/strict";
import { test } from "node:test";
import { Limits } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import type { MachineDeath } from "../record/v1.ts";
import type { GuestExit } from "./guest-agent.ts";
import { settle } from "./guest-steps.ts";

const LIMITS = new Limits(1);
const machine = { dead: new Promise<MachineDeath>(() => undefined), endedByUs: false, consoleLog: "/nowhere" };
const said = (stdout: string, more: Partial<GuestExit> = {}): GuestExit => ({ exitCode: 0, timedOut: false, stdout, stderr: "", ...more });

/** A guest whose systemctl gives these answers; the words that it was asked with are kept. */
function systemctl(answers: { readonly wait: GuestExit; readonly then?: GuestExit | SuiteError }): { readonly asked: string[]; exec(argv: readonly string[]): Promise<GuestExit> } {
  const asked: string[] = [];
  return {
    asked,
    exec: async (argv) => {
      asked.push(argv.join(" "));
      if (argv.includes("--wait")) return answers.wait;
      if (answers.then instanceof SuiteError) throw answers.then;
      return answers.then ?? said("");
    },
  };
}

test("a running systemd has settled and is asked nothing more", async () => {
  const guest = systemctl({ wait: said("running\n") });
  await settle(machine, guest, LIMITS, 1_000);
  assert.deepEqual(guest.asked, ["systemctl is-system-running --wait"]);
});

test("a systemd that does not settle is a timeout with its length and the jobs that are left", async () => {
  const jobs = " 81 slow.service   start running\n 80 multi-user.target start waiting\n";
  const guest = systemctl({ wait: said("", { exitCode: 137, timedOut: true }), then: said(jobs) });
  await assert.rejects(settle(machine, guest, LIMITS, 41_000.4), (error: SuiteError) => {
    assert.equal(error.code, "VM_BOOT_TIMEOUT");
    assert.match(error.message, /ended after 41000 ms, and 2 jobs are left/);
    assert.match(error.details ?? "", /slow\.service/);
    return true;
  });
});

test("a guest that cannot even list its jobs says so beside the timeout", async () => {
  const guest = systemctl({ wait: said("", { timedOut: true }), then: new SuiteError("GUEST_TIMEOUT", "exec systemctl: the agent did not answer within 5000 ms") });
  await assert.rejects(settle(machine, guest, LIMITS, 2_000), { code: "VM_BOOT_TIMEOUT", details: /did not answer either: exec systemctl/ });
});

test("a degraded systemd names the units that failed", async () => {
  const guest = systemctl({ wait: said("degraded\n", { exitCode: 1 }), then: said("broken.service loaded failed failed Broken\n") });
  await assert.rejects(settle(machine, guest, LIMITS, 1_000), { code: "VM_START_FAILED", message: /settled as "degraded"/, details: /broken\.service/ });
});
