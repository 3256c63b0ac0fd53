import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isRequirementId } from "../catalogue/index.ts";
import { enabledOptions, KERNEL_NEEDS, missingOptions } from "./kernel-needs.ts";

test("a missing option is named, an alternative that is there is enough", () => {
  assert.deepEqual(missingOptions(["LSM-003"], new Set(["CONFIG_SECURITY_SELINUX"])), ["CONFIG_SECURITY_SMACK"]);
  assert.deepEqual(missingOptions(["ABI-005"], new Set(["CONFIG_COMPAT"])), []);
  assert.match(missingOptions(["ABI-005"], new Set()).join(), /^CONFIG_IA32_EMULATION or CONFIG_COMPAT/);
  assert.deepEqual(missingOptions(["MSG-001"], new Set()), []);
});

test("the table speaks of requirements that exist", () => {
  for (const { requirements } of KERNEL_NEEDS) for (const id of requirements) assert.ok(isRequirementId(id), id);
});

test("built in and module count, unset does not", () => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-config-"));
  writeFileSync(join(dir, "config"), "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=17\n");

  assert.deepEqual([...enabledOptions(join(dir, "config"))], ["CONFIG_A", "CONFIG_B"]);
  rmSync(dir, { recursive: true });
});
