import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestFile, digestJson, digestTree, short, type Digest } from "../base/digest.ts";
import { readJson, writeJson } from "../base/json-file.ts";
import { cacheDir, ROOT } from "../base/paths.ts";
import type { PlannedTest } from "../plan/plan.ts";
import { TESTS_DIR } from "../plan/test-id.ts";
import type { Mutant } from "./mutant.ts";
import { FATES, type Fate } from "./verdict.ts";

/** Raised when a fate of the same inputs could come out otherwise than before. */
const RECIPE = 1;

const keptSchema = z.object({
  schema: z.literal("buslab.mutant-result/1"),
  name: z.string(),
  /** The test that killed it is known to pass on the reference. */
  controlled: z.boolean(),
  fate: z.object({ outcome: z.enum(FATES), killedBy: z.array(z.string()), test: z.string().nullable(), reason: z.string(), seenBy: z.array(z.string()) }),
});

/** A result as it is kept. */
export interface Kept {
  readonly fate: Fate;
  readonly controlled: boolean;
}

/** Digests of the sources of a module, by path; what a build leaves beside them does not count. */
export function moduleDigests(dir: string): Promise<[string, Digest][]> {
  return digestTree(dir, (path) => path.startsWith(".") || /\.(md|ko|o|cmd)$/.test(path));
}

/** Digest of what every test stands on: support, catalogue, layouts, guest side. */
export async function commonDigest(): Promise<Digest> {
  const folders = ["conformance/support", "conformance/catalogue", "fixtures/abi", "orchestration/guest"];
  const files = await Promise.all(folders.map(async (folder) => [folder, (await digestTree(join(ROOT, folder))).filter(([path]) => !path.endsWith(".test.ts"))] as const));
  return digestJson([...files, await digestFile(join(ROOT, "package-lock.json"))]);
}

/** Results that are kept between calls: a mutant is run again only when something it depends on is another. */
export class Results {
  readonly #subject: unknown;
  readonly #specs = new Map<string, Promise<Digest>>();

  /** @param subject everything but the mutant and its tests: module, kernel, image, common parts of the suite */
  constructor(subject: unknown) {
    this.#subject = subject;
  }

  /** Undefined when there is none, or a damaged one. */
  async find(mutant: Mutant, tests: readonly PlannedTest[]): Promise<Kept | undefined> {
    return readJson(await this.#path(mutant, tests), keptSchema).catch(() => undefined);
  }

  /** Keeps what the tests decided; an undecided mutant is tried again, and an invalid one costs little. */
  async keep(mutant: Mutant, tests: readonly PlannedTest[], { fate, controlled }: Kept): Promise<void> {
    if (fate.outcome !== "killed" && fate.outcome !== "survived") return;
    await writeJson(await this.#path(mutant, tests), { schema: "buslab.mutant-result/1", name: mutant.name, controlled, fate });
  }

  async forget(mutant: Mutant, tests: readonly PlannedTest[]): Promise<void> {
    await rm(await this.#path(mutant, tests), { force: true });
  }

  async #path(mutant: Mutant, tests: readonly PlannedTest[]): Promise<string> {
    const specs = [...new Set(tests.map((test) => join(TESTS_DIR, test.id.slice(0, test.id.indexOf(":")))))].sort();
    const digests = await Promise.all(specs.map((spec) => this.#spec(spec)));
    const key = digestJson({ RECIPE, patch: mutant.digest, breaks: mutant.breaks, subject: this.#subject, tests: tests.map((test) => test.id).sort(), specs: digests });
    return join(cacheDir(), "mutants", `${short(key)}.json`);
  }

  #spec(path: string): Promise<Digest> {
    const known = this.#specs.get(path) ?? digestFile(path);
    this.#specs.set(path, known);
    return known;
  }
}
