import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyDeath, type EndSigns } from "./death.ts";

const quiet: EndSigns = { code: 0, signal: null, shutdownReason: undefined, endedByUs: false, console: "", qemuSays: "" };
const panicLine = "<4>[    1.0] something\r\n<0>[   12.000413] Kernel panic - not syncing: Fatal exception\r\n";

const cases: readonly [title: string, signs: Partial<EndSigns>, kind: string, detail: RegExp][] = [
  ["a reset behind a panic is a panic", { shutdownReason: "guest-reset", console: panicLine }, "panic", /^Kernel panic - not syncing: Fatal exception$/],
  ["a reset without a panic is a reset", { shutdownReason: "guest-reset" }, "reset", /triple fault/],
  ["a guest that powers off is a reset with that reason", { shutdownReason: "guest-shutdown" }, "reset", /powered itself off/],
  ["SIGKILL from outside is a killed machine, whatever the console says", { code: null, signal: "SIGKILL", console: panicLine }, "killed", /SIGKILL/],
  ["SIGTERM, which QEMU obeys with exit code 0, is a killed machine", { shutdownReason: "host-signal" }, "killed", /signal from outside/],
  ["a crash of QEMU is QEMU's", { code: null, signal: "SIGSEGV", qemuSays: "boom" }, "qemu-failed", /SIGSEGV: boom/],
  ["an exit code of QEMU is QEMU's", { code: 1, qemuSays: "no such device" }, "qemu-failed", /exit code 1: no such device/],
  ["a full disk of the host is QEMU's, although we killed it for that", { code: null, signal: "SIGKILL", trouble: "no space left" }, "qemu-failed", /no space left/],
  ["user text that quotes a panic makes none", { shutdownReason: "guest-reset", console: "<12>[   12.0] Kernel panic - not syncing: quoted\r\n" }, "reset", /./],
  ["an end that we asked for accuses nobody", { endedByUs: true, code: null, signal: "SIGKILL" }, "killed", /machine pool/],
];

for (const [title, signs, kind, detail] of cases) {
  test(title, () => {
    const death = classifyDeath({ ...quiet, ...signs });
    assert.equal(death.kind, kind);
    assert.match(death.detail, detail);
  });
}
