import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plant } from "../apply.ts";
import type { Variant } from "./variant.ts";

/** What is wrong with the variants as far as no compiler and no machine is needed; one line each. */
export async function checkVariants(variants: readonly Variant[]): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), "buslab-variants-"));
  try {
    const problems: string[] = [];
    for (const variant of variants) {
      const misfit = await plant([variant], dir);
      if (misfit !== null) problems.push(`fixtures/variants/${misfit}`);
    }
    const misfit = problems.length > 0 ? null : await plant(variants, dir);
    return misfit === null ? problems : [`fixtures/variants/${misfit}, after those before it`];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
