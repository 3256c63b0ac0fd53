import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { digestJson, digestTree } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { cacheDir, ROOT } from "../base/paths.ts";

export interface DashboardFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** True when its name tells its content. */
  readonly immutable: boolean;
}

export interface Dashboard {
  /** The file of a path; pages of the dashboard, which it routes itself, are its one document. @throws NOTHING_THERE */
  file(path: string): Promise<DashboardFile>;
}

const SOURCE = join(import.meta.dirname, "dashboard");
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Serves the files of a built dashboard from memory: there are few, and a name can only be one of them. */
export class BuiltDashboard implements Dashboard {
  private readonly files: Promise<ReadonlyMap<string, DashboardFile>>;

  /** @param dir may still be in the making */
  constructor(dir: Promise<string>) {
    this.files = dir.then(readAll);
    this.files.catch(() => undefined); // told to whoever asks for a file
  }

  async file(path: string): Promise<DashboardFile> {
    const files = await this.files;
    const found = files.get(path) ?? (extname(path) === "" ? files.get("/index.html") : undefined);
    if (found === undefined) throw new SuiteError("NOTHING_THERE", `the dashboard has no file ${path.slice(0, 200)}`);
    return found;
  }
}

/**
 * Builds the dashboard into the cache, once per content. The bundler is loaded for that only.
 * @returns the folder
 */
export async function buildDashboard(): Promise<string> {
  const { build, version } = await import("vite");
  const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8")) as { packages: Record<string, { version?: string; integrity?: string }> };
  const packages = ["preact", "@preact/signals", "@preact/signals-core", "uplot"].map((name) => [name, lock.packages[`node_modules/${name}`]?.integrity ?? ""]);
  const key = digestJson({ source: await digestTree(SOURCE), packages, vite: version }).slice(7, 39);
  const dir = join(cacheDir(), "dashboard", key);
  if ((await stat(join(dir, "index.html")).catch(() => null)) !== null) return dir;
  const made = `${dir}.${process.pid}.tmp`;
  await mkdir(join(cacheDir(), "dashboard"), { recursive: true });
  try {
    await build({
      root: SOURCE,
      configFile: false,
      logLevel: "silent",
      base: "/",
      oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
      // Inlined pictures would be data: addresses, which the content security policy refuses.
      build: { outDir: made, emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
    });
    await rename(made, dir).catch(async (error: unknown) => {
      if ((await stat(join(dir, "index.html")).catch(() => null)) === null) throw error; // else another centre was faster
    });
  } catch (error) {
    throw new SuiteError("INTERNAL", `the dashboard cannot be built: ${(error as Error).message}`, { cause: error });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return dir;
}

async function readAll(dir: string): Promise<ReadonlyMap<string, DashboardFile>> {
  const files = new Map<string, DashboardFile>();
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(dir.length);
    files.set(name, { body: new Uint8Array(await readFile(path)), type: TYPES[extname(path)] ?? "application/octet-stream", immutable: name.startsWith("/assets/") });
  }
  return files;
}
