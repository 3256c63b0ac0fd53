import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Check, CheckResult } from "./check.ts";

/** The dashboard runs in browsers, so it has types of its own. */
const PROJECTS = ["tsconfig.json", "orchestration/api/dashboard/tsconfig.json"];

/** Strict types over every TypeScript file. */
export const types: Check = {
  name: "types",
  run: async () => {
    const [files, problems] = [new Set<string>(), [] as string[]];
    for (const project of PROJECTS) {
      const { output, code } = await node("node_modules/typescript7/bin/tsc", ["--noEmit", "--pretty", "false", "--listFiles", "-p", project]);
      const lines = output.split("\n").filter(Boolean);
      for (const line of lines) if (line.startsWith("/")) files.add(line);
      const own = lines.filter((line) => !line.startsWith("/"));
      if (code !== 0) problems.push(...(own.length === 0 ? [`tsc ended with ${code} for ${project}`] : own));
    }
    return { examined: [...files].filter((file) => !file.includes("node_modules")).length, problems };
  },
};

/** Typed lint rules over every TypeScript file. */
export const lint: Check = {
  name: "lint",
  run: async (): Promise<CheckResult> => {
    const { output, code } = await node("node_modules/eslint/bin/eslint.js", [
      "--config", "ci/lint/eslint.config.js", "--format", "json", ".",
    ]);
    const start = output.indexOf("[{");
    if (start < 0) return { examined: 0, problems: [`eslint ended with ${code}: ${output.slice(0, 2000)}`] };
    const files = JSON.parse(output.slice(start, output.lastIndexOf("]") + 1)) as { filePath: string; messages: { line?: number; message: string; ruleId: string | null }[] }[];
    const problems = files.flatMap((file) =>
      file.messages.map((m) => `${file.filePath.slice(ROOT.length + 1)}:${m.line ?? 0} ${m.message} (${m.ruleId ?? "parser"})`),
    );
    return { examined: files.length, problems };
  },
};

function node(script: string, args: readonly string[]): Promise<{ output: string; code: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, script), ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ output, code: code ?? 1 }));
  });
}
