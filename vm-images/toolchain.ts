import { join } from "node:path";
import { exec, type ExecOptions, type ExecResult } from "../orchestration/base/exec.ts";
import { cacheDir } from "../orchestration/base/paths.ts";
import { versionOf } from "./tools.ts";

/** Where compilers run: this host or a container. Files have the same paths on both sides. */
export interface Toolchain {
  /** What it adds to the key of everything that it builds. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Folder of ccache's results: those of one toolchain never serve another. */
  readonly ccacheDir: string;
  /** Like {@link exec}. Away from the host, only the given environment is handed on. */
  run(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<ExecResult>;
  /** First line a program prints for `--version`. @throws HOST_TOOL_MISSING naming the package to install */
  versionOf(program: string, debianPackage: string): Promise<string>;
}

/** The compilers of this host. Their versions are part of every key, so it adds nothing to them. */
const HOST_TOOLCHAIN: Toolchain = {
  inputs: {},
  ccacheDir: process.env["CCACHE_DIR"] ?? join(cacheDir(), "ccache-host"),
  run: exec,
  versionOf,
};

/** Where a build is to compile: on this host unless its context says otherwise. */
export function toolchainOf(ctx: { readonly toolchain?: Toolchain }): Toolchain {
  return ctx.toolchain ?? HOST_TOOLCHAIN;
}
