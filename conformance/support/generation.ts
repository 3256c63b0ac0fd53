import { FLAG_NEGOTIATE, ITEM, NAME } from "../../fixtures/abi/constants.ts";
import { decodeItems, decodeWords } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item } from "../../fixtures/abi/encode.ts";
import { STRUCTS } from "../../fixtures/abi/layout.ts";
import type { Generation } from "../catalogue/index.ts";
import type { Domain } from "./bus.ts";
import type { Process } from "./process.ts";

/** What a subject showed; a sign is a generation, or what was seen instead. */
export interface GenerationSigns {
  readonly detected: Generation | "unknown";
  readonly signs: { readonly A: string; readonly B: string; readonly acquire: string };
}

/**
 * Tells the generation of a running module by two independent signs; both must agree. A is what BUS_MAKE says it would
 * accept, B whether MATCH_ADD takes a DST_ID rule. `acquire` (return_flags of NAME_ACQUIRE) is for the diagnosis only.
 * Sign A is negotiated once: the original of 2015-03 leaks memory with each negotiation.
 */
export async function detectSigns(process: Process, domain: Domain): Promise<GenerationSigns> {
  const A = await signA(process, domain).catch(reason);
  const { B, acquire } = await signB(process, domain).catch((error: unknown) => ({ B: reason(error), acquire: "not tried" }));
  return { detected: A === B && (A === "2015-03" || A === "2015-08") ? A : "unknown", signs: { A, B, acquire } };
}

async function signA(process: Process, domain: Domain): Promise<string> {
  const control = await process.open(domain.control);
  const command = encodeCommand("BUS_MAKE", { flags: FLAG_NEGOTIATE }, [item.bloomParameter(64, 1), item.makeName(`${process.euid}-x`), item.negotiate([ITEM.ATTACH_FLAGS_SEND, ITEM.ATTACH_FLAGS_RECV])]);
  const { errno, bytes } = await process.command(control, "BUS_MAKE", command);
  await process.close(control);
  if (errno !== null) return `BUS_MAKE with NEGOTIATE gives ${errno}`;
  const answer = decodeItems(bytes, STRUCTS.cmd.size, bytes.length).find((entry) => entry.type === ITEM.NEGOTIATE);
  const entries = answer === undefined ? "none" : decodeWords(answer.payload).join(", ");
  if (entries === "12, 13") return "2015-03";
  return entries === "12, 0" ? "2015-08" : `BUS_MAKE negotiates the entries 12, 13 to ${entries}`;
}

async function signB(process: Process, domain: Domain): Promise<{ readonly B: string; readonly acquire: string }> {
  const bus = await domain.makeBus(process, { name: "generation" });
  const connection = await bus.connect();
  const probe = await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1 }));
  if (probe.errno !== null) return { B: `MATCH_ADD without rules gives ${probe.errno}`, acquire: "not tried" };
  await connection.removeMatch(1n);
  const { errno } = await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 2 }, [item.dstId(connection.id)]));
  if (errno === null) await connection.removeMatch(2n);
  const flags = await connection.acquire("generation.sign").then((seen) => `0x${seen.toString(16)} (${seen === (NAME.PRIMARY | NAME.ACQUIRED) ? "2015-08" : seen === 0n ? "2015-03" : "neither"})`, reason);
  await connection.close();
  await bus.close();
  return { B: errno === null ? "2015-08" : errno === "EINVAL" ? "2015-03" : `MATCH_ADD with a DST_ID rule gives ${errno}`, acquire: flags };
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
