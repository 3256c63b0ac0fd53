import { exec } from "../base/exec.ts";
import type { KernelEvent } from "../record/v1.ts";

interface Place {
  readonly section: string;
  readonly address: bigint;
  readonly sizeBytes: bigint;
}

/** Makes kernel reports name file and line where their trace goes through a module. */
export interface Decoder {
  decode(events: readonly KernelEvent[]): Promise<readonly KernelEvent[]>;
}

// `kdbus_queue_pop+0x4c/0x90 [kdbus]`, in a trace or behind `RIP: 0010:`
const FRAME = /^(?<before>.*?)(?<symbol>[\w.]+)\+0x(?<offset>[0-9a-f]+)\/0x(?<size>[0-9a-f]+) \[(?<module>\w+)\]/;

/**
 * Reads the debug information of a module with addr2line. A report is evidence as it stands: whatever cannot be decoded
 * stays as the kernel printed it, and only text is added behind a line.
 * @param koDebug the module with debug information
 * @param name of the module as the kernel prints it
 * @param label what its file names begin with
 */
export function moduleDecoder(koDebug: string, name: string, label: string): Decoder {
  let symbols: Promise<ReadonlyMap<string, readonly Place[]>> | undefined;
  const known = new Map<string, Promise<string>>();
  const locate = async (line: string): Promise<string> => {
    const frame = FRAME.exec(line)?.groups;
    if (frame?.["module"] !== name) return "";
    symbols ??= symbolsOf(koDebug);
    const size = BigInt(`0x${frame["size"] ?? "0"}`);
    const fits = ((await symbols).get(frame["symbol"] ?? "") ?? []).filter((place) => place.sizeBytes === size);
    const [place] = fits;
    if (place === undefined || fits.length > 1) return ""; // two functions of this name and size: a guess would mislead
    // the place where the CPU stood is exact, a place on the stack is where the call returns to
    const back = /RIP|pc : /.test(frame["before"] ?? "") ? 0n : 1n;
    const address = place.address + BigInt(`0x${frame["offset"] ?? "0"}`) - back;
    const key = `${place.section} ${address}`;
    const found = known.get(key) ?? lineAt(koDebug, place.section, address, label);
    known.set(key, found);
    return found;
  };
  const decodeLine = async (line: string): Promise<string> => {
    const where = await locate(line).catch(() => ""); // binutils missing, or no debug information
    return where === "" ? line : `${line} (${where})`;
  };
  return {
    decode: (events) =>
      Promise.all(
        events.map(async (event) => ({ ...event, excerpt: (await Promise.all(event.excerpt.split("\n").map(decodeLine))).join("\n") })),
      ),
  };
}

/** Functions of a relocatable file with their place in their section. */
async function symbolsOf(ko: string): Promise<ReadonlyMap<string, readonly Place[]>> {
  const [sections, table] = await Promise.all([exec(["readelf", "--section-headers", "--wide", ko]), exec(["readelf", "--symbols", "--wide", ko])]);
  const names = new Map([...sections.stdout.matchAll(/^ *\[ *(\d+)\] (\S+)/gm)].map((match) => [match[1] ?? "", match[2] ?? ""]));
  const found = new Map<string, Place[]>();
  for (const match of table.stdout.matchAll(/^ *\d+: ([0-9a-f]+) +(\d+|0x[0-9a-f]+) FUNC +\S+ +\S+ +(\d+) (\S+)/gm)) {
    const [, address = "0", size = "0", section = "", symbol = ""] = match;
    const place = { section: names.get(section) ?? ".text", address: BigInt(`0x${address}`), sizeBytes: BigInt(size) };
    found.set(symbol, [...(found.get(symbol) ?? []), place]);
  }
  return found;
}

/** `fixtures/module/queue.c:120, inlined into fixtures/module/receive.c:88` */
async function lineAt(ko: string, section: string, address: bigint, label: string): Promise<string> {
  const { stdout } = await exec(["addr2line", "--inlines", `--section=${section}`, `--exe=${ko}`, `0x${address.toString(16)}`], { timeoutMs: 20_000 });
  const places = stdout
    .trim()
    .split("\n")
    .map((line) => line.replace(/ \(discriminator \d+\)$/, ""))
    .filter((line) => !/\?\?|:\?$/.test(line))
    .map((line) => line.slice(Math.max(0, line.lastIndexOf(`${label}/`))));
  return places.join(", inlined into ");
}
