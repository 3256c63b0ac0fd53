import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { SuiteError } from "../base/errors.ts";
import { toCtrf } from "./ctrf.ts";
import { toGithubAnnotations } from "./github.ts";
import { toInToto } from "./in-toto.ts";
import type { ExportInput } from "./input.ts";
import { toJunit } from "./junit.ts";
import { toKcidb } from "./kcidb.ts";
import { toKtap } from "./ktap.ts";

export { toGithubSummary } from "./github.ts";
export { readExportInput, type ExportInput } from "./input.ts";

export const FORMATS = ["junit", "ktap", "kcidb", "ctrf", "in-toto", "github"] as const;
export type Format = (typeof FORMATS)[number];

export interface ExportOptions {
  /** Needed by `in-toto`. */
  readonly key?: KeyObject;
  readonly origin?: string;
  readonly attachmentsFrom?: string;
}

/** A run in the words of another tool. @throws USAGE when the format needs what is not given */
export function exportRun(format: Format, input: ExportInput, options: ExportOptions = {}): string {
  switch (format) {
    case "junit":
      return toJunit(input, options.attachmentsFrom === undefined ? {} : { attachmentsFrom: options.attachmentsFrom });
    case "ktap":
      return toKtap(input);
    case "kcidb":
      if (options.origin !== undefined && !/^[a-z0-9_]+$/.test(options.origin)) throw new SuiteError("USAGE", `the origin "${options.origin}" has other signs than a to z, 0 to 9 and _`);
      return document(toKcidb(input, options.origin === undefined ? {} : { origin: options.origin }));
    case "ctrf":
      return document(toCtrf(input));
    case "in-toto":
      if (options.key === undefined) throw new SuiteError("USAGE", "in-toto is signed: give --key FILE, and --new-key once to make that file");
      return document(toInToto(input, options.key));
    case "github":
      return toGithubAnnotations(input);
  }
}

/** @throws FILE_INVALID when it is no Ed25519 private key in PEM */
export async function readSigningKey(path: string): Promise<KeyObject> {
  let key: KeyObject;
  try {
    key = createPrivateKey(await readFile(path));
  } catch (error) {
    throw new SuiteError("FILE_INVALID", `${path} is no readable private key in PEM`, { cause: error });
  }
  if (key.asymmetricKeyType !== "ed25519") throw new SuiteError("FILE_INVALID", `${path} is a key of type ${key.asymmetricKeyType ?? "unknown"}, expected ed25519`);
  return key;
}

/** Writes a new Ed25519 key to `path`, readable by its owner alone, and the public one to `path`.pub. @throws FILE_INVALID when the file exists */
export async function makeSigningKey(path: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  try {
    await writeFile(path, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw new SuiteError("FILE_INVALID", `${path} exists; a key is never overwritten, so name another file or leave out --new-key`);
    throw error;
  }
  await writeFile(`${path}.pub`, publicKey.export({ type: "spki", format: "pem" }));
}

function document(value: object): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}
