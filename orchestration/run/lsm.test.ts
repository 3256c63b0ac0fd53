import assert from "node:assert/strict";
import test from "node:test";
import { SuiteError } from "../base/errors.ts";
import { requireLsm } from "./lsm.ts";

const guest = (files: Readonly<Record<string, string>>) => ({
  readText: async (path: string): Promise<string> => {
    const text = files[path];
    if (text === undefined) throw new Error(`no ${path}`);
    return text;
  },
});
const refused = (sentence: RegExp) => (error: unknown) => error instanceof SuiteError && error.code === "LSM_NOT_IN_FORCE" && sentence.test(error.message);
const LIST = "/sys/kernel/security/lsm";

test("each module is known by the list and by a file of its own", async () => {
  await requireLsm(guest({ [LIST]: "capability,landlock,yama" }), "none");
  await requireLsm(guest({ [LIST]: "capability,landlock,yama,selinux", "/sys/fs/selinux/enforce": "1" }), "selinux");
  await requireLsm(guest({ [LIST]: "capability,apparmor", "/sys/module/apparmor/parameters/enabled": "Y\n" }), "apparmor");
  await requireLsm(guest({ [LIST]: "capability,smack", "/sys/fs/smackfs/load2": "" }), "smack");
  await requireLsm(guest({ [LIST]: "capability,tomoyo", "/sys/kernel/security/tomoyo/profile": "PROFILE_VERSION=20150505\n" }), "tomoyo");
});

test("a module that the kernel did not start leaves the target undecided", async () => {
  await assert.rejects(requireLsm(guest({ [LIST]: "capability,yama" }), "smack"), refused(/asks for security module "smack", but .* "capability,yama"/));
});

test("another module in force is no proof for none", async () => {
  await assert.rejects(requireLsm(guest({ [LIST]: "capability,apparmor" }), "none"), refused(/"none"/));
});

test("a permissive SELinux is not SELinux in force", async () => {
  await assert.rejects(requireLsm(guest({ [LIST]: "capability,selinux", "/sys/fs/selinux/enforce": "0" }), "selinux"), refused(/enforce says "0"/));
});

test("a guest that cannot be read proves nothing", async () => {
  await assert.rejects(requireLsm(guest({}), "none"), refused(/cannot be read/));
  await assert.rejects(requireLsm(guest({ [LIST]: "capability,tomoyo" }), "tomoyo"), refused(/tomoyo.profile cannot be read/));
});
