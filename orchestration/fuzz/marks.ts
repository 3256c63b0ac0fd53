/** A line that the fuzzer printed on the console before it began a program. */
export interface Mark {
  readonly kind: "program" | "replay";
  readonly index: number;
}

/** The last mark that stands before a place of the console; a report belongs to it, or to one shortly before. */
export function lastMark(console: Uint8Array, before = console.length): Mark | undefined {
  const text = Buffer.from(console.buffer, console.byteOffset, Math.min(before, console.length)).toString("latin1");
  let last: Mark | undefined;
  for (const match of text.matchAll(/buslab-fuzz: (program|replay) (\d+)/g)) last = { kind: match[1] as Mark["kind"], index: Number(match[2]) };
  return last;
}
