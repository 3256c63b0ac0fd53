import type { KeyObject } from "node:crypto";
import { casesOf, runCase, SPELLINGS } from "./cases.ts";
import { signEnvelope, type Envelope } from "./dsse.ts";
import type { ExportInput } from "./input.ts";
import { oneLine, UniqueNames } from "./text.ts";

export const PAYLOAD_TYPE = "application/vnd.in-toto+json";
export const PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1";

/**
 * in-toto Statement v1 with Test Result v0.1. The subject is the record log, by its digest, and every artifact whose key is a SHA-256.
 * The format has no word for skips and errors, so nothing is left out: what was not learnt is among the failed.
 */
export function toStatement(input: ExportInput): object {
  const { verdict } = input;
  const names = new UniqueNames();
  const lists = { passedTests: [] as string[], warnedTests: [] as string[], failedTests: [] as string[] };
  for (const each of [...verdict.targets.flatMap((target) => casesOf(input, target)), runCase(verdict)]) {
    lists[SPELLINGS[each.status].inToto].push(names.take(oneLine(`${each.target} ${each.test ?? each.title}`)));
  }
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [
      { name: `${verdict.run}/records.jsonl`, digest: { sha256: hex(input.recordsDigest) } },
      ...input.artifacts.filter(({ key }) => /^(sha256:)?[0-9a-f]{64}$/.test(key)).map(({ target, name, key }) => ({ name: `${target}/${name}`, digest: { sha256: hex(key) } })),
    ],
    predicateType: PREDICATE_TYPE,
    predicate: {
      result: verdict.verdict === "conformant" ? (lists.warnedTests.length > 0 ? "WARNED" : "PASSED") : "FAILED",
      configuration: [
        descriptor("plan", verdict.plan.digest), descriptor("catalogue", verdict.catalogue.digest), descriptor("suite", verdict.plan.suite), descriptor("waivers", verdict.waivers.digest),
        ...input.artifacts.map(({ target, name, key }) => ({ name: `${target}/${name}`, content: Buffer.from(key).toString("base64") })),
      ],
      ...lists,
    },
  };
}

/** @param key an Ed25519 private key */
export function toInToto(input: ExportInput, key: KeyObject): Envelope {
  return signEnvelope(PAYLOAD_TYPE, Buffer.from(JSON.stringify(toStatement(input))), key);
}

function descriptor(name: string, digest: string): object {
  return { name, digest: { sha256: hex(digest) } };
}

function hex(digest: string): string {
  return digest.replace(/^sha256:/, "");
}
