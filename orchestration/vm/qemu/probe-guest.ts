import type { ArchRow } from "../../target/arches.ts";

/** A guest of a few bytes that proves what a Linux guest needs first: it runs, it gets timer interrupts, it ends by itself. */
export interface ProbeGuest {
  readonly disk: Uint8Array;
  readonly argv: (disk: string) => readonly string[];
  /** Printed when the guest runs, and again when its loop has ended. */
  readonly marks: readonly [string, string];
  readonly exitCode: number;
  /** What the loop between the marks takes on a 3 GHz core without emulation. */
  readonly nativeLoopMs: number;
}

// Boot sector, 16-bit code of an x86 PC, loaded by the firmware at 0x7c00. Data and stack lie on pages of their own:
// under TCG a write to the page of the running code throws its translation away, and the loop would measure that.
const X86_BOOT_SECTOR = [
  [0x31, 0xc0], //                                     xor  ax,ax
  [0x8e, 0xd8], //                                     mov  ds,ax
  [0x8e, 0xd0], //                                     mov  ss,ax
  [0xbc, 0x00, 0x60], //                               mov  sp,0x6000
  [0xfb, 0xf4, 0xf4], //                               sti; hlt; hlt      two timer interrupts, 55 ms apart
  [0xb0, 0x41, 0xe6, 0xe9], //                         mov  al,'A'; out 0xe9,al
  [0x66, 0xb9, 0x00, 0x2d, 0x31, 0x01], //             mov  ecx,20000000
  [0x66, 0x89, 0x0e, 0x00, 0x90], //             loop: mov  [0x9000],ecx
  [0x66, 0x03, 0x06, 0x00, 0x90], //                   add  eax,[0x9000]
  [0xe8, 0x0f, 0x00], //                               call ret
  [0x66, 0x49, 0x75, 0xef], //                         dec  ecx; jnz loop
  [0xb0, 0x42, 0xe6, 0xe9], //                         mov  al,'B'; out 0xe9,al
  [0xb0, 0x2a, 0xe6, 0xf4], //                         mov  al,0x2a; out 0xf4,al    QEMU exits with 2 * 0x2a + 1
  [0xf4, 0xeb, 0xfd], //                         stop: hlt; jmp stop
  [0xc3], //                                      ret: ret
].flat();

/** Guests by architecture; a row without one is never probed for KVM. */
export const PROBE_GUESTS: Readonly<Partial<Record<ArchRow["id"], ProbeGuest>>> = {
  x86_64: {
    disk: bootSector(X86_BOOT_SECTOR),
    // the old PC machine: its firmware boots a bare sector from an IDE disk in 0.2 s, q35's does not boot it at all
    argv: (disk) => [
      ...["-machine", "pc", "-m", "64"],
      ...["-drive", `file=${disk.replaceAll(",", ",,")},format=raw,if=none,id=d,snapshot=on`, "-device", "ide-hd,drive=d"],
      ...["-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
    ],
    marks: ["A", "B"],
    exitCode: 85,
    nativeLoopMs: 50,
  },
};

function bootSector(code: readonly number[]): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set(code);
  sector.set([0x55, 0xaa], 510);
  return sector;
}
