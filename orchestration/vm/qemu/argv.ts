import type { ArchRow } from "../../target/arches.ts";

/** What a machine looks like to the guest: equal for a template and all of its clones, or the restore is refused. */
export interface Hardware {
  readonly arch: ArchRow;
  readonly accel: "kvm" | "tcg";
  readonly memoryMb: number;
  readonly cpus: number;
  readonly kernel: string;
  /** Initial RAM disk; none for a kernel that has its drivers built in. */
  readonly initrd?: string;
  readonly kernelLine: string;
}

/** What differs between a template and its clones: files and sockets of the host, never seen by the guest. */
export interface Backing {
  readonly name: string;
  readonly ram: { readonly path: string; /** true: writes reach the file (a template); false: private copy-on-write */ readonly shared: boolean };
  readonly disk: { readonly path: string; /** true: writes are thrown away */ readonly snapshot: boolean };
  readonly monitorSocket: string;
  readonly agentSocket: string;
  /** True: waits for a saved state instead of booting. */
  readonly restore: boolean;
}

/** Command line of QEMU for every machine of the house, template and clone alike. */
export function qemuArgv(hardware: Hardware, backing: Backing): [string, ...string[]] {
  const { arch } = hardware;
  const device = (name: string, options = ""): string[] => ["-device", `${name}${arch.qemu.deviceSuffix}${options}`];
  return [
    arch.qemu.binary,
    ...["-name", backing.name],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", `${arch.qemu.machine},memory-backend=mem`],
    ...["-accel", hardware.accel === "kvm" ? "kvm" : "tcg,thread=multi"],
    ...["-cpu", hardware.accel === "kvm" ? "host" : arch.qemu.cpu],
    ...["-smp", String(hardware.cpus), "-m", String(hardware.memoryMb)],
    ...["-object", `memory-backend-file,id=mem,size=${hardware.memoryMb}M,mem-path=${comma(backing.ram.path)},share=${backing.ram.shared ? "on" : "off"}`],
    ...["-kernel", hardware.kernel, "-append", hardware.kernelLine],
    ...(hardware.initrd === undefined ? [] : ["-initrd", hardware.initrd]),
    ...["-drive", `file=${comma(backing.disk.path)},format=qcow2,if=none,id=root,snapshot=${backing.disk.snapshot ? "on" : "off"},cache=unsafe`],
    ...device("virtio-blk", ",drive=root"),
    // restrict=on: a test never talks to the host's network; ssh comes in through a forward added when it is asked for
    ...["-netdev", "user,id=net,restrict=on"],
    ...device("virtio-net", `,netdev=net${arch.qemu.deviceSuffix === "-pci" ? ",romfile=" : ""}`),
    ...device("virtio-serial"),
    ...["-chardev", `socket,id=agent,path=${comma(backing.agentSocket)},server=on,wait=off`],
    ...["-device", "virtserialport,chardev=agent,name=buslab.agent"],
    ...device("virtio-rng"),
    // stdio: QEMU writes the console straight into the file that is its standard output; no reader of ours is needed
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-qmp", `unix:${comma(backing.monitorSocket)}`],
    ...(backing.restore ? ["-incoming", "defer"] : []),
  ];
}

/** Device state fits again only under the same of these; part of a template's key. */
export function hardwareKey(hardware: Hardware): Readonly<Record<string, unknown>> {
  const backing: Backing = {
    name: "",
    ram: { path: "", shared: true },
    disk: { path: "", snapshot: true },
    monitorSocket: "",
    agentSocket: "",
    restore: false,
  };
  return { argv: qemuArgv({ ...hardware, kernel: "", ...(hardware.initrd === undefined ? {} : { initrd: "" }) }, backing) };
}

/** QEMU's option parser ends a value at a comma unless it is doubled. */
function comma(path: string): string {
  return path.replaceAll(",", ",,");
}
