/** All facts about an architecture; nothing outside this folder asks which architecture it has. */
export interface ArchRow {
  readonly id: "x86_64" | "arm64" | "arm";
  /** `ARCH=` of the kernel build. */
  readonly kernelArch: string;
  /** Prefix of the cross tools, empty where the host can be native. */
  readonly crossPrefix: string;
  /** Debian packages with the cross tools and the static C library, for hosts of another architecture. */
  readonly crossPackages: readonly string[];
  readonly debianArch: string;
  /** Debian's name for the folders of its libraries. */
  readonly multiarch: string;
  /** `e_machine` of its programs. */
  readonly elfMachine: number;
  /** What `uname -m` and `process.arch` call a host that runs this natively. */
  readonly nodeArch: string;
  readonly kernelImage: string;
  readonly kernelTarget: string;
  readonly qemu: { readonly binary: string; readonly package: string; readonly machine: string; readonly cpu: string; readonly deviceSuffix: string };
  readonly console: string;
  readonly configFragment: string;
  /** Tools for the 32-bit programs that a 64-bit kernel runs besides its own. */
  readonly narrow?: { readonly crossPrefix: string; readonly crossPackages: readonly string[]; readonly multiarch: string };
}

export const ARCHES: Readonly<Record<ArchRow["id"], ArchRow>> = {
  x86_64: {
    id: "x86_64",
    kernelArch: "x86_64",
    crossPrefix: "x86_64-linux-gnu-",
    crossPackages: ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
    debianArch: "amd64",
    multiarch: "x86_64-linux-gnu",
    elfMachine: 62,
    nodeArch: "x64",
    kernelImage: "arch/x86/boot/bzImage",
    kernelTarget: "bzImage",
    qemu: { binary: "qemu-system-x86_64", package: "qemu-system-x86", machine: "q35", cpu: "max", deviceSuffix: "-pci" },
    console: "ttyS0",
    configFragment: "x86_64.config",
    // gcc-multilib would do, but Debian's conflicts with the cross compilers of the other rows
    narrow: { crossPrefix: "i686-linux-gnu-", crossPackages: ["gcc-i686-linux-gnu", "libc6-dev-i386-cross"], multiarch: "i686-linux-gnu" },
  },
  arm64: {
    id: "arm64",
    kernelArch: "arm64",
    crossPrefix: "aarch64-linux-gnu-",
    crossPackages: ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    debianArch: "arm64",
    multiarch: "aarch64-linux-gnu",
    elfMachine: 183,
    nodeArch: "arm64",
    kernelImage: "arch/arm64/boot/Image",
    kernelTarget: "Image",
    qemu: { binary: "qemu-system-aarch64", package: "qemu-system-arm", machine: "virt", cpu: "cortex-a72", deviceSuffix: "-pci" },
    console: "ttyAMA0",
    configFragment: "arm64.config",
    narrow: { crossPrefix: "arm-linux-gnueabihf-", crossPackages: ["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"], multiarch: "arm-linux-gnueabihf" },
  },
  arm: {
    id: "arm",
    kernelArch: "arm",
    crossPrefix: "arm-linux-gnueabihf-",
    crossPackages: ["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
    debianArch: "armhf",
    multiarch: "arm-linux-gnueabihf",
    elfMachine: 40,
    nodeArch: "arm",
    kernelImage: "arch/arm/boot/zImage",
    kernelTarget: "zImage",
    qemu: { binary: "qemu-system-arm", package: "qemu-system-arm", machine: "virt", cpu: "cortex-a15", deviceSuffix: "-device" },
    console: "ttyAMA0",
    configFragment: "arm.config",
  },
};

/** The architecture of this host. Images of others are grafted onto its own. */
export function nativeArch(): ArchRow | undefined {
  return Object.values(ARCHES).find(isNative);
}

/** True where this host runs the architecture's code itself. */
export function isNative(arch: ArchRow): boolean {
  return arch.nodeArch === process.arch;
}
