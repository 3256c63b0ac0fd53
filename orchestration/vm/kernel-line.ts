import type { Target } from "../target/target-id.ts";
import type { Lsm } from "../target/target-id.ts";

/** One kernel and one image serve every security module; this is what chooses it. */
const LSM_LINE: Readonly<Record<Lsm, readonly string[]>> = {
  none: ["lsm=landlock,yama"],
  selinux: ["lsm=landlock,yama,selinux", "selinux=1", "enforcing=1", "audit=1"],
  apparmor: ["lsm=landlock,yama,apparmor", "apparmor=1", "audit=1"],
  smack: ["lsm=landlock,yama,smack", "audit=1"],
  tomoyo: ["lsm=landlock,yama,tomoyo"],
};

/** Boot line of a target. */
export function kernelLine(target: Target, extra: readonly string[] = []): string {
  return [
    `console=${target.arch.console}`,
    // Each console line begins with <facility and level>: the kernel's own lines have facility 0, and /dev/kmsg lets
    // nobody in user space claim it (kernel/printk/printk.c, devkmsg_write). The console rules rely on it.
    "console_msg_format=syslog",
    // kmemleak and sysrq dumps are of level info; 7 shows all but debug
    "loglevel=7",
    "printk.devkmsg=on",
    "printk.time=1",
    "root=/dev/vda",
    "rootfstype=ext4",
    "rw",
    // -no-reboot makes the reset end QEMU: a panic is seen at once
    "panic=-1",
    "oops=panic",
    // a hung kernel answers no agent: break on the serial line and an NMI are what is left to ask it with
    "sysrq_always_enabled",
    "unknown_nmi_panic",
    // accounting of pressure runs at each switch of each task and is asked by nobody
    "psi=0",
    "systemd.show_status=false",
    "net.ifnames=0",
    ...LSM_LINE[target.lsm],
    ...extra,
  ].join(" ");
}
