import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTarget } from "../../orchestration/target/target-id.ts";
import { droppedWishes, fragmentsOf, parseConfig, readFragments, requireWishes } from "./config.ts";

test("a configuration is read as Kconfig reads it: the last line of a symbol counts", () => {
  const values = parseConfig('CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_A=n\nCONFIG_S="a=b"\n# comment\n');

  assert.deepEqual([...values], [["CONFIG_A", "n"], ["CONFIG_B", "n"], ["CONFIG_S", '"a=b"']]);
});

test("a wish that did not stick is listed, an unwanted symbol that is absent is not", () => {
  const dropped = droppedWishes("CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=64\n# CONFIG_D is not set\n", "CONFIG_A=m\nCONFIG_C=8\nCONFIG_D=y\n");

  assert.deepEqual(
    dropped.map(({ symbol, got }) => `${symbol} ${got}`),
    ["CONFIG_A m", "CONFIG_C 8", "CONFIG_D y"],
  );
});

test("a lost wish is an error that names it, unless its absence is known", () => {
  assert.throws(() => requireWishes("CONFIG_SECURITY_SMACK=y\n", ""), {
    code: "KERNEL_BUILD_FAILED",
    message: /1 line\(s\).*CONFIG_SECURITY_SMACK/,
    details: "CONFIG_SECURITY_SMACK: wanted y, got absent",
  });
  assert.deepEqual(requireWishes("CONFIG_DMIID=y\n", ""), ["CONFIG_DMIID: arm64 without EFI has no DMI"]);
});

test("a lost wish beside fragments of the caller's is the caller's to mend, and accuses no kernel", () => {
  assert.throws(() => requireWishes("CONFIG_NOSUCH=y\n", "", ["/x/own.config"]), {
    code: "KERNEL_SPEC_INVALID",
    message: /^with --config \/x\/own\.config .*CONFIG_NOSUCH; such an option does not exist, or/,
    details: "CONFIG_NOSUCH: wanted y, got absent",
  });
  assert.deepEqual(requireWishes("CONFIG_DMIID=y\n", "", ["/x/own.config"]), ["CONFIG_DMIID: arm64 without EFI has no DMI"]);
});

test("the debug build adds its fragment behind the plain ones", async () => {
  const plain = fragmentsOf(makeTarget("x86_64", "debian-6.1", "none", "plain"));
  const debug = fragmentsOf(makeTarget("x86_64", "debian-6.1", "none", "debug"));

  assert.deepEqual(debug, [...plain, "vm-images/kernel/config/debug.config"]);
  const wishes = parseConfig(await readFragments(debug));
  assert.equal(wishes.get("CONFIG_KASAN"), "y");
  assert.equal(wishes.get("CONFIG_SECURITY_TOMOYO"), "y");
});

test("the cov build runs on the plain kernel", () => {
  const fragments = (build: "plain" | "cov"): string[] => fragmentsOf(makeTarget("x86_64", "debian-6.1", "none", build));

  assert.deepEqual(fragments("cov"), fragments("plain"));
});
