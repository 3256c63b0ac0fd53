import type { Requirement } from "./requirement.ts";

/** Requirements on security modules and audit. */
export const LSM = [
  {
    id: "LSM-001", level: "must", source: "LWN 552241",
    text: "Opening control or endpoint nodes is subject to the active security module's file checks: a domain or profile without access gets EACCES from open().",
    verify: "SELinux and AppArmor guest, profile without the path",
  },
  {
    id: "LSM-002", level: "must", source: "LWN 552241",
    text: "With SELinux every kdbus command is subject to the file ioctl permission including its extended permissions (type byte 0x95, nr of the command): a domain allowed only HELLO gets EACCES from SEND.",
    verify: "allowxperm with 0x9580 only",
  },
  {
    id: "LSM-003", level: "must", source: "Linux 6.1 security module behaviour",
    text: "With Smack, write access to the node's label is required for commands with the write direction bit and read access for those with the read bit, at each call.",
    verify: "rule changed from rw to r after HELLO: SEND EACCES, RECV works",
  },
  {
    id: "LSM-004", level: "must", source: "Linux 6.1 security module behaviour",
    text: "With TOMOYO a domain lacking the ioctl entry for the node and command number gets an error from that ioctl in enforcing mode.",
    verify: "enforcing profile without the ioctl entry",
  },
  {
    id: "LSM-005", level: "must", source: "Linux 6.1 security module behaviour",
    text: "mmap() of the pool is subject to the security module's file mapping check on the endpoint node.",
    verify: "SELinux domain without map permission: EACCES",
  },
  {
    id: "LSM-006", level: "must", source: "LWN 552241",
    text: "Mounting kdbusfs is subject to the security module's mount check, and mount options of security modules (context=, smackfsdef=) are accepted.",
    verify: "mount -o context=..., ls -Z",
  },
  {
    id: "LSM-007", level: "must", source: "LWN 552241",
    text: "A security module can confine a process to one custom endpoint: with access to that node only, connecting through it works and opening the default endpoint fails with EACCES.",
    verify: "SELinux guest with two labelled mounts or AppArmor guest with two paths",
  },
  {
    id: "LSM-008", level: "must", source: "implementation, corrected",
    text: "A descriptor from a message is installed only if the security module's file-receive check passes for the receiving task; a refused one becomes -1 with KDBUS_RECV_RETURN_INCOMPLETE_FDS and the message is still delivered.",
    verify: "SELinux: receiver without fd use for the sender's domain; AppArmor: profile without the file",
  },
  {
    id: "LSM-009", level: "must", source: "kdbus.item(7)",
    text: "SECLABEL in messages equals the sending task's label for SELinux, AppArmor and Smack, also after the task changed its label.",
    verify: "compare with /proc/self/attr/current, mode suffix removed for AppArmor",
  },
  {
    id: "LSM-010", level: "must", source: "implementation",
    text: "SECLABEL is absent and SEND succeeds when no module provides labels (TOMOYO or none).",
    verify: "guest with lsm=tomoyo and guest without",
  },
  {
    id: "LSM-011", level: "must", source: "kdbus.item(7)",
    text: "AUDIT metadata reports the login uid and session id set for the sender; unset values are 4294967295.",
    verify: "write /proc/self/loginuid as root, send, compare; on 2015-03 set attach_flags_mask to all ones first",
  },
  {
    id: "LSM-012", level: "must", source: "LWN 552241",
    text: "Each denial by SELinux, AppArmor or Smack on a kdbus node leaves the module's usual audit record naming the operation, the subject and the node.",
    verify: "kernel log or auditd: AVC with ioctlcmd=0x9590; apparmor=DENIED; lsm=SMACK action=denied",
  },
  {
    id: "LSM-013", level: "must", source: "LWN 552241",
    text: "System-call audit rules on ioctl record kdbus commands with their command number, result, auid and subject.",
    verify: "rule with a1=0x40389590",
  },
  {
    id: "LSM-014", level: "must", source: "Linux 6.1 security module behaviour",
    text: "In permissive or complain mode the operation succeeds and the record is still written.",
    verify: "enforcing=0, complain profile",
  },
  {
    id: "LSM-015", level: "must", source: "Linux 6.1 security module behaviour",
    text: "A task whose privilege on the bus stems only from CAP_IPC_OWNER loses it when the security module denies that capability.",
    verify: "SELinux domain without capability ipc_owner: monitor HELLO gives EPERM",
  },
  {
    id: "LSM-016", level: "should", source: "implementation, corrected",
    text: "Opening an endpoint as an ordinary user does not produce capability denials in the audit log.",
    verify: "audit log empty after 100 opens as an ordinary uid",
  },
  {
    id: "LSM-017", level: "must", source: "implementation",
    text: "Two domains that may both use the same endpoint can exchange messages if kdbus policy allows it: labels do not decide about single messages.",
    verify: "two domains, one endpoint",
  },
] as const satisfies readonly Requirement[];
