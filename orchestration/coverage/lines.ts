import { mkdtemp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { exec } from "../base/exec.ts";

/** What is known of a line that has code. */
export interface Line {
  readonly count: number;
  /** The function it belongs to; the first one where an inline function stands in several. */
  readonly function: string;
}

/** File to line number to what is known of it; files as they are named in the notes. */
export type LineCounts = ReadonlyMap<string, ReadonlyMap<number, Line>>;

const documentSchema = z.object({
  files: z.array(z.object({ file: z.string(), lines: z.array(z.object({ line_number: z.number(), count: z.number(), function_name: z.string().optional() })) })),
});

/**
 * Executed lines by gcov itself, from counter files and the notes of the compiler. A line of a header counts in each object
 * that includes it, and its counts are added.
 * @param notes folder of the *.gcno files
 * @param counters by path below the notes, `pool.gcda`
 * @throws COMMAND_FAILED when gcov cannot read them
 */
export async function countLines(notes: string, counters: ReadonlyMap<string, Uint8Array>): Promise<LineCounts> {
  const folder = await mkdtemp(join(tmpdir(), "buslab-gcov-"));
  try {
    for (const [name, bytes] of counters) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), bytes);
      const note = name.replace(/\.gcda$/, ".gcno");
      await symlink(join(notes, note), join(folder, note));
    }
    const documents: string[] = []; // one a line, a file each
    await exec(["gcov", "--json-format", "--stdout", ...counters.keys()], { cwd: folder, env: { LC_ALL: "C" }, onLine: (line) => void (line.startsWith("{") && documents.push(line)) });
    const files = new Map<string, Map<number, Line>>();
    for (const text of documents) {
      for (const { file, lines } of documentSchema.parse(JSON.parse(text)).files) {
        const known = files.get(file) ?? new Map<number, Line>();
        for (const { line_number: number, count, function_name: name } of lines) {
          const before = known.get(number);
          known.set(number, { count: (before?.count ?? 0) + count, function: before?.function || (name ?? "") });
        }
        files.set(file, known);
      }
    }
    return files;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
