import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";

export interface ModuleSpec {
  readonly dir: string;
  /** Variables for make, e.g. `KDBUS_GENERATION`. */
  readonly variables: Readonly<Record<string, string>>;
  /** Linked into the kernel instead of loaded. */
  readonly builtIn: boolean;
}

const BUILT_IN = /^built-in(?::|(?=,)|$)/;

/**
 * Takes what `--module` names apart: a folder, and behind it make variables that choose a variant of the module, each after a
 * comma: `fixtures/module,KDBUS_GENERATION=201503`. In front of the folder `built-in:` links it into the kernel; `built-in`
 * alone means the reference module.
 */
export function parseModuleSpec(spec: string): ModuleSpec {
  const prefix = BUILT_IN.exec(spec)?.[0];
  const [, dir = "", tail = ""] = /^(.*?)((?:,[A-Z][A-Z0-9_]*=[\w.-]*)*)$/s.exec(spec.slice(prefix?.length ?? 0)) ?? [];
  const builtIn = prefix !== undefined;
  return {
    dir: builtIn && dir === "" ? join(ROOT, "fixtures/module") : dir,
    variables: Object.fromEntries(tail.split(",").slice(1).map((pair) => pair.split("=", 2) as [string, string])),
    builtIn,
  };
}

/** `,NAME=VALUE` of each make variable, for titles and names. */
export function variantOf({ variables }: Pick<ModuleSpec, "variables">): string {
  return Object.entries(variables).map(([name, value]) => `,${name}=${value}`).join("");
}
