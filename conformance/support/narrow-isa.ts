import type { AgentClient } from "../../orchestration/guest/agent-client.ts";

/** The few instructions of a 32-bit processor that a program of system calls needs, as bytes. */
export interface NarrowIsa {
  /** `e_machine` and `e_flags` of its programs. */
  readonly machine: number;
  readonly flags: number;
  /** Registers in which a system call expects its arguments and its number, and the one it answers in. */
  readonly arguments: readonly number[];
  readonly number: number;
  readonly answer: number;
  readonly trap: readonly number[];
  set(register: number, value: number): number[];
  load(register: number, address: number): number[];
  /** Adds the word at an address. */
  add(register: number, address: number): number[];
  store(register: number, address: number): number[];
}

const I386: NarrowIsa = {
  machine: 3,
  flags: 0,
  arguments: [3, 1, 2, 6, 7, 5], // ebx, ecx, edx, esi, edi, ebp
  number: 0,
  answer: 0,
  trap: [0xcd, 0x80], // int 0x80
  set: (register, value) => [0xb8 + register, ...word(value)],
  load: (register, address) => [0x8b, 0x05 | (register << 3), ...word(address)],
  add: (register, address) => [0x03, 0x05 | (register << 3), ...word(address)],
  store: (register, address) => [0x89, 0x05 | (register << 3), ...word(address)],
};

/** Holds addresses; no argument is passed in it. */
const R12 = 12;

/** A32, little-endian, EABI version 5. */
const ARM: NarrowIsa = {
  machine: 40,
  flags: 0x0500_0000,
  arguments: [0, 1, 2, 3, 4, 5],
  number: 7,
  answer: 0,
  trap: word(0xef00_0000), // svc 0
  set: (register, value) => [0xe300_0000 | half(value & 0xffff), 0xe340_0000 | half(value >>> 16)].flatMap((movwMovt) => word(movwMovt | (register << 12))),
  load: (register, address) => [...ARM.set(R12, address), ...word(0xe590_0000 | (R12 << 16) | (register << 12))],
  add: (register, address) => [...ARM.load(R12, address), ...word(0xe080_0000 | (register << 16) | (register << 12) | R12)],
  store: (register, address) => [...ARM.set(R12, address), ...word(0xe580_0000 | (R12 << 16) | (register << 12))],
};

/** What 32-bit programs of an architecture are made of. */
export const NARROW_ISAS: Readonly<Partial<Record<AgentClient["arch"], NarrowIsa>>> = { x86_64: I386, i386: I386, arm64: ARM, arm: ARM };

/** A half-word as MOVW and MOVT hold it. */
function half(value: number): number {
  return ((value >>> 12) << 16) | (value & 0xfff);
}

function word(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}
