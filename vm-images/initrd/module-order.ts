/** Finds modules by name and what must be loaded before them. */
export interface ModuleTable {
  /** Name to path below the modules folder. */
  readonly paths: ReadonlyMap<string, string>;
  /** Path to the paths it needs, those to be loaded first at the end (modules.dep). */
  readonly needs: ReadonlyMap<string, readonly string[]>;
  readonly builtin: ReadonlySet<string>;
}

/** Reads `modules.dep` and `modules.builtin`. */
export function readModuleTable(dep: string, builtin: string): ModuleTable {
  const paths = new Map<string, string>();
  const needs = new Map<string, readonly string[]>();
  for (const line of dep.split("\n")) {
    const [path = "", rest = ""] = line.split(":");
    if (path === "") continue;
    paths.set(moduleName(path), path);
    needs.set(path, rest.split(/\s+/).filter((word) => word !== ""));
  }
  return { paths, needs, builtin: new Set(builtin.split("\n").filter((line) => line !== "").map(moduleName)) };
}

/** Paths of the modules named and of all they need, each once, in an order in which they can be loaded. */
export function loadOrder(table: ModuleTable, names: readonly string[]): string[] {
  const order = new Set<string>();
  for (const name of names) {
    const path = table.paths.get(name);
    if (path === undefined) continue;
    for (const needed of [...(table.needs.get(path) ?? [])].reverse()) order.add(needed);
    order.add(path);
  }
  return [...order];
}

/** `kernel/drivers/block/virtio_blk.ko.xz` is `virtio_blk`; dash and underscore are one to the kernel. */
export function moduleName(path: string): string {
  return (path.split("/").at(-1) ?? "").replace(/\.ko(\.\w+)?$/, "").replaceAll("-", "_");
}
