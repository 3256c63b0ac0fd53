import { writeFileSync } from "node:fs";
import type { FullConfig, Suite, TestError } from "@playwright/test/reporter";
import { BUILD_ANNOTATION, CANARY_ANNOTATION, CPUS_ANNOTATION, GENERATION_ANNOTATION, MACHINE_ANNOTATION, REQUIREMENT_ANNOTATION } from "../record/annotations.ts";
import { testId } from "./test-id.ts";

/** One test as the runner lists it; requirement ids are not yet checked against the catalogue. */
export interface ListedTest {
  readonly id: string;
  /** Path of the spec below the runner's root, as its own test lists want it. */
  readonly file: string;
  readonly titles: readonly string[];
  readonly requirements: readonly string[];
  /** Generations the test is narrowed to; empty for whatever its requirements allow. */
  readonly generations: readonly string[];
  /** Processors that its machine needs; absent for one. */
  readonly cpus?: number;
  /** Builds that a canary is narrowed to; absent for all. */
  readonly builds?: readonly string[];
  /** What a canary may be planted in besides a machine of its own. */
  readonly machine?: string;
  /** Outcome a canary declares, null for an ordinary test. */
  readonly canary: string | null;
}

export interface Listing {
  readonly tests: readonly ListedTest[];
  readonly errors: readonly string[];
}

export { CANARY_ANNOTATION, REQUIREMENT_ANNOTATION };

/** Writes what `--list` found to the file named by BUSLAB_LISTING; used by discover.ts only. */
export default class ListReporter {
  private readonly errors: string[] = [];
  private tests: ListedTest[] = [];

  onBegin(config: FullConfig, suite: Suite): void {
    const byId = new Map<string, ListedTest>();
    for (const test of suite.allTests()) {
      const [, , , ...titles] = test.titlePath();
      const file = test.location.file;
      const canary = test.annotations.find((note) => note.type === CANARY_ANNOTATION)?.description;
      const builds = test.annotations.filter((note) => note.type === BUILD_ANNOTATION).map((note) => note.description ?? "");
      const cpus = Number(test.annotations.find((note) => note.type === CPUS_ANNOTATION)?.description ?? 1);
      const listed: ListedTest = {
        id: testId(file, titles),
        file: relativePosix(config.rootDir, file),
        titles,
        requirements: [...new Set(test.annotations.filter((note) => note.type === REQUIREMENT_ANNOTATION).map((note) => note.description ?? ""))],
        generations: test.annotations.filter((note) => note.type === GENERATION_ANNOTATION).map((note) => note.description ?? ""),
        canary: canary ?? null,
        ...machineOf(test.annotations.find((note) => note.type === MACHINE_ANNOTATION)?.description),
        ...(builds.length === 0 ? {} : { builds }),
        ...(cpus === 1 ? {} : { cpus }),
      };
      byId.set(listed.id, listed); // the same test stands once in each project
    }
    this.tests = [...byId.values()];
  }

  onError(error: TestError): void {
    const where = error.location === undefined ? "" : `${error.location.file}:${error.location.line}: `;
    this.errors.push(`${where}${error.message ?? error.value ?? "unknown error"}`);
  }

  onEnd(): void {
    const path = process.env["BUSLAB_LISTING"];
    if (path !== undefined) writeFileSync(path, JSON.stringify({ tests: this.tests, errors: this.errors } satisfies Listing));
  }

  printsToStdio(): boolean {
    return true;
  }
}

function machineOf(machine: string | undefined): Pick<ListedTest, "machine"> {
  return machine === undefined ? {} : { machine };
}

function relativePosix(from: string, to: string): string {
  const prefix = from.endsWith("/") ? from : `${from}/`;
  return to.startsWith(prefix) ? to.slice(prefix.length) : to;
}
