import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SuiteError } from "../../base/errors.ts";
import { ROOT } from "../../base/paths.ts";
import { syncFolder } from "../../../vm-images/module/sync.ts";
import { NO_SOURCE, REFERENCE_DIR } from "../apply.ts";
import { plantSwitches, type DerivedBug } from "./rules.ts";

/** What is compiled in besides: the switches themselves. */
const SWITCH_DIR = join(ROOT, "fixtures/mutants/derived");
/** Bits that the module keeps; place 0 is none. */
const PLACES = 64 * 64;
/** What the module is built for is no behaviour. */
const UNTOUCHED = new Set(["compat.h"]);

/** Makes `dir` hold the reference module with a switch at every place from which a bug can be derived. @returns the bugs, by place */
export async function writeSwitchedModule(dir: string): Promise<DerivedBug[]> {
  const staging = await mkdtemp(join(tmpdir(), "buslab-derived-"));
  try {
    await syncFolder(REFERENCE_DIR, staging, NO_SOURCE);
    await cp(SWITCH_DIR, staging, { recursive: true });
    const bugs: DerivedBug[] = [];
    for (const file of (await readdir(REFERENCE_DIR)).filter((name) => /\.[ch]$/.test(name) && !UNTOUCHED.has(name)).sort()) {
      const { text, bugs: own } = plantSwitches(file, await readFile(join(staging, file), "utf8"), bugs.length + 1);
      await writeFile(join(staging, file), text);
      bugs.push(...own);
    }
    if (bugs.length >= PLACES) throw new SuiteError("INTERNAL", `${bugs.length} bugs can be derived, and switch.c keeps ${PLACES - 1}`);
    const kbuild = await readFile(join(staging, "Kbuild"), "utf8");
    await writeFile(join(staging, "Kbuild"), `${kbuild}\nkdbus-y += switch.o\nccflags-y += -include $(src)/switch.h\n`);
    await syncFolder(staging, dir, NO_SOURCE);
    return bugs;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
