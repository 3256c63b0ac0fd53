import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Limits } from "../base/deadline.ts";
import { writeJson } from "../base/json-file.ts";
import { areaOfTest } from "../plan/test-id.ts";
import type { GuestAgent } from "../vm/guest-agent.ts";
import type { ReleaseProbe } from "../vm/probe.ts";
import { addCounters, checkCounters } from "./counters.ts";
import { COLLECTION_SCHEMA, LOADING, type Collection } from "./collection.ts";

export interface CollectorOptions {
  readonly target: string;
  /** What file names of the module begin with, `fixtures/module`. */
  readonly label: string;
  readonly notes: string;
  /** Folder of the counters below /sys/kernel/debug/gcov. */
  readonly guestDir: string;
}

type Agent = Pick<GuestAgent, "readFile">;
const READ_MS = 2_000;

/**
 * Adds up the counters of all machines of a target, by requirement area. Each clone starts with what loading and mounting
 * left in the template; that is taken away from every machine and stands once, as an area of its own.
 */
export class LineCollector {
  readonly #options: CollectorOptions;
  readonly #names: readonly string[];
  readonly #loading: ReadonlyMap<string, Uint8Array>;
  readonly #areas = new Map<string, Map<string, Uint8Array>>();
  readonly #tests = new Set<string>();

  private constructor(options: CollectorOptions, names: readonly string[], loading: ReadonlyMap<string, Uint8Array>) {
    this.#options = options;
    this.#names = names;
    this.#loading = loading;
  }

  /** @param agent of a fresh clone. @throws GUEST_REFUSED when its module counts no lines */
  static async start(options: CollectorOptions, agent: Agent, limits: Limits): Promise<LineCollector> {
    const names = (await readdir(options.notes, { recursive: true })).filter((name) => name.endsWith(".gcno")).map((name) => name.replace(/gcno$/, "gcda")).sort();
    const loading = await readCounters(options.guestDir, names, agent, limits);
    return new LineCollector(options, names, loading);
  }

  /** Canaries prove the harness and say nothing of the module. */
  get probe(): ReleaseProbe {
    return {
      name: "gcov",
      take: async ({ test, agent, limits }) => {
        const area = areaOfTest(test);
        if (area === "canary") return [];
        const counters = await readCounters(this.#options.guestDir, this.#names, agent, limits);
        const sums = this.#areas.get(area) ?? new Map<string, Uint8Array>();
        for (const [name, bytes] of counters) {
          addCounters(bytes, this.#loading.get(name) ?? new Uint8Array(), -1);
          const sum = sums.get(name);
          if (sum === undefined) sums.set(name, bytes);
          else addCounters(sum, bytes);
        }
        this.#areas.set(area, sums);
        this.#tests.add(test);
        return [];
      },
    };
  }

  /** Writes all that was collected below a run's folder. @returns the folder */
  async finish(runDir: string): Promise<string> {
    const { target, label, notes } = this.#options;
    const dir = join(runDir, "coverage", target.replaceAll("/", "_"));
    await rm(dir, { recursive: true, force: true });
    const areas = new Map([[LOADING, this.#loading], ...this.#areas]);
    for (const [area, counters] of areas) {
      for (const [name, bytes] of counters) {
        await mkdir(dirname(join(dir, area, name)), { recursive: true });
        await writeFile(join(dir, area, name), bytes);
      }
    }
    const collection: Collection = { schema: COLLECTION_SCHEMA, target, label, notes, objects: [...this.#names], areas: [...areas.keys()].sort(), tests: [...this.#tests].sort() };
    await writeJson(join(dir, "collection.json"), collection);
    return dir;
  }
}

/** One request a file: a program that read them all would cost more than most tests. */
async function readCounters(guestDir: string, names: readonly string[], agent: Agent, limits: Limits): Promise<Map<string, Uint8Array>> {
  const counters = new Map<string, Uint8Array>();
  for (const name of names) {
    const bytes = await agent.readFile(`/sys/kernel/debug/gcov${guestDir}/${name}`, { timeoutMs: limits.ms(READ_MS) });
    checkCounters(bytes);
    counters.set(name, bytes);
  }
  return counters;
}
