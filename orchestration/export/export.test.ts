import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { Ajv } from "ajv";
import * as ajvFormats from "ajv-formats";
import { validate as validateCtrf } from "ctrf";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { parse as parseJunit } from "junit2json";
import { cacheDir } from "../base/paths.ts";
import type { OutcomeKind } from "../record/v1.ts";
import { writeMadeUpRun, type MadeUpRun } from "../store/made-up.ts";
import { envelopeSchema, openEnvelope, preAuthEncoding } from "./dsse.ts";
import { toGithubSummary } from "./github.ts";
import { exportRun, makeSigningKey, readExportInput, readSigningKey, type ExportInput } from "./index.ts";
import { KCIDB_SCHEMA } from "./kcidb.schema.ts";
import type { Case } from "./cases.ts";
import { casesOf, runCase, SPELLINGS } from "./cases.ts";

const dir = mkdtempSync(join(tmpdir(), "buslab-export-"));
after(() => rmSync(dir, { recursive: true, force: true }));

const NASTY = 'first & <b> "q" ]]>\nok 1 forged\n\u001b[31mred\u001b[0m \0 \u0007 \ud800 # SKIP forged\n::error::forged\n  KTAP version 1';
const KINDS: readonly OutcomeKind[] = ["passed", "failed", "crashed", "timed-out", "unsupported", "infra-error", "not-run", "failed"];
const MADE: MadeUpRun = {
  run: "20270101-000000-00000a", targets: ["x86_64/debian-6.1/none/plain", "arm64/debian-6.12/apparmor/debug"], tests: KINDS.length, areas: ["msg", "ord"],
  outcome: (index) => KINDS[index] ?? "passed", waived: (index) => index === 7, message: NASTY, title: "MSG-001 #1 it's <odd> & long", crash: { fingerprint: "f", title: "BUG: \0 in kdbus" },
};

let input: ExportInput;
let cases: readonly Case[];
before(async () => {
  await writeMadeUpRun(join(dir, MADE.run), MADE);
  input = await readExportInput(join(dir, MADE.run));
  cases = [...input.verdict.targets.flatMap((target) => casesOf(input, target)), runCase(input.verdict)];
});

test("every outcome has a case, and the verdicts are cases of their own", () => {
  assert.deepEqual(cases.slice(0, 9).map((each) => each.status), ["pass", "fail", "crash", "timeout", "skip", "infra", "not-run", "waived", "fail"]);
  assert.equal(cases.length, 2 * 9 + 1);
});

test("a run that is undecided although every test passed looks undecided in every format", async () => {
  const verdict = { ...input.verdict, verdict: "undecided" as const, exitCode: 3 as const, reasons: ["a canary was called by a wrong name"], targets: [] };
  const undecided: ExportInput = { ...input, verdict };
  assert.match(exportRun("junit", undecided), /<testsuites name="buslab" tests="1" failures="0" errors="1"/);
  assert.match(exportRun("ktap", undecided), /^not ok 1 verdict of the run # ERROR undecided: a canary/m);
  assert.equal(JSON.parse(exportRun("kcidb", undecided)).tests[0].status, "MISS");
  assert.equal(JSON.parse(exportRun("ctrf", undecided)).results.summary.passed, 0);
  assert.match(exportRun("github", undecided), /^::warning title=run%3A verdict of the run::undecided/);
});

test("JUnit is well-formed, a public parser reads every case back, and names are unique", async () => {
  const xml = exportRun("junit", input, { attachmentsFrom: dir });
  assert.equal(XMLValidator.validate(xml), true);
  const read = await parseJunit(xml);
  assert.ok(read !== undefined && read !== null && "testsuite" in read);
  const found = (read.testsuite ?? []).flatMap((suite) => suite.testcase ?? []);
  assert.equal(found.length, cases.length);
  assert.equal(new Set(found.map((each) => `${each.classname}\n${each.name}`)).size, found.length);
  const childOf = (each: (typeof found)[number]): string | null => (each.failure !== undefined ? "failure" : each.error !== undefined ? "error" : each.skipped !== undefined ? "skipped" : null);
  assert.deepEqual(found.map(childOf), cases.map((each) => SPELLINGS[each.status].junit));
  assert.deepEqual([found[0]?.classname, found[0]?.name, found[0]?.time], ["x86_64.debian-6_1.none.plain.msg.made-up", "MSG-001 #1 it's <odd> & long 0", 0.401]);
  const parsed = new XMLParser({ ignoreAttributes: false, cdataPropName: "__c" }).parse(xml) as { testsuites: { testsuite: { testcase: { failure: { "#text": string }; "system-out": string }[] }[] } };
  const failed = parsed.testsuites.testsuite[0]?.testcase[1];
  assert.ok(failed !== undefined);
  assert.match(failed.failure["#text"], /first & <b> "q" \]\]>\nok 1 forged\nred \ufffd \ufffd \ufffd # SKIP forged/);
  assert.match(failed["system-out"], /^\[\[ATTACHMENT\|20270101-000000-00000a\/evidence\/[^\]]+\/console\.log\]\]$/);
  assert.equal(exportRun("junit", input, { attachmentsFrom: "/elsewhere" }).includes("ATTACHMENT"), false);
});

const kunit = globSync(join(cacheDir(), "sources/*/src/tools/testing/kunit/kunit_parser.py")).sort().at(-1);
test("the kernel's own KTAP parser reads every result back", { skip: kunit === undefined ? "no kernel source is in the cache" : false }, () => {
  const path = join(dir, "run.ktap");
  writeFileSync(path, exportRun("ktap", input));
  const program = `
import sys, json, io, contextlib
sys.path.insert(0, sys.argv[1])
import kunit_parser
with contextlib.redirect_stdout(io.StringIO()):
    test = kunit_parser.parse_run_tests(kunit_parser.extract_tap_lines(open(sys.argv[2], encoding="utf-8").read().split("\\n")))
def flat(t):
    return [{"name": s.name, "status": s.status.name, "log": s.log, "errors": s.counts.errors, "subtests": flat(s)} for s in t.subtests]
print(json.dumps({"suites": flat(test), "errors": test.counts.errors}))
`;
  const done = spawnSync("python3", ["-c", program, join(kunit ?? "", ".."), path], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
  const read = JSON.parse(done.stdout.trimEnd().split("\n").at(-1) ?? "") as { errors: number; suites: { name: string; status: string; subtests: { name: string; status: string }[] }[] };
  assert.equal(read.errors, 0);
  assert.deepEqual(read.suites.map((suite) => [suite.name.trim(), suite.status]), [[MADE.targets[0], "FAILURE"], [MADE.targets[1], "FAILURE"], ["verdict of the run", "FAILURE"]]);
  const expected = cases.slice(0, 9).map((each) => (SPELLINGS[each.status].ktap.directive === "SKIP" ? "SKIPPED" : SPELLINGS[each.status].ktap.ok ? "SUCCESS" : "FAILURE"));
  for (const suite of read.suites.slice(0, 2)) assert.deepEqual(suite.subtests.map((each) => each.status), expected);
  assert.match(read.suites[0]?.subtests[0]?.name ?? "", /^msg\/made-up\.spec\.ts:MSG-001 no\.1 it's <odd> & long 0$/);
});

test("KTAP names requirements in lines that readers of version 1 skip, and no console line can pose as a result", () => {
  const lines = exportRun("ktap", input).split("\n");
  assert.equal(lines[0], "KTAP version 1");
  assert.ok(lines.includes("  #:custom_requirement: MSG-000"));
  assert.equal(lines.filter((line) => /^\s*(not )?ok \d+ /.test(line)).length, 2 * 9 + 3);
  assert.equal(lines.filter((line) => /^\s*KTAP version 1$/.test(line)).length, 3);
});

test("KCIDB fits the schema of 5.3, and what is not learnt is no pass", () => {
  const document = JSON.parse(exportRun("kcidb", input, { origin: "lab_1" })) as { tests: { id: string; status: string }[]; issues: object[]; incidents: object[] };
  const ajv = new Ajv({ allErrors: true });
  (ajvFormats.default as unknown as (ajv: Ajv) => void)(ajv);
  const valid = ajv.compile<unknown>(KCIDB_SCHEMA);
  assert.ok(valid(document), JSON.stringify(valid.errors));
  assert.equal(valid({ ...document, tests: [{ ...document.tests[0], path: "a b" }] }), false, "the schema can fail");
  assert.deepEqual(document.tests.map((each) => each.status), cases.map((each) => SPELLINGS[each.status].kcidb));
  assert.equal(new Set(document.tests.map((each) => each.id)).size, cases.length);
  assert.deepEqual([document.issues.length, document.incidents.length, JSON.stringify(document).includes("\\u0000")], [1, 2, false]);
  assert.throws(() => exportRun("kcidb", input, { origin: "No!" }), /"No!"/);
});

test("CTRF fits its published schema, and its counts are those of its tests", () => {
  const document = JSON.parse(exportRun("ctrf", input)) as { results: { tests: { status: string; labels: Record<string, string> }[]; summary: Record<"tests" | "passed" | "failed" | "skipped" | "other" | "pending", number> } };
  const result = validateCtrf(document);
  assert.ok(result.valid, JSON.stringify(result));
  assert.equal(validateCtrf({ ...document, surplus: 1 }).valid, false, "the schema can fail");
  const { tests, summary } = document.results;
  assert.deepEqual(tests.map((each) => each.status), cases.map((each) => SPELLINGS[each.status].ctrf));
  assert.deepEqual([summary.tests, summary.passed + summary.failed + summary.skipped + summary.other, summary.pending], [tests.length, tests.length, 0]);
  assert.equal(tests[7]?.labels["waived"], "true");
});

test("in-toto is signed so that openssl agrees, and a changed byte is noticed", async () => {
  const path = join(dir, "key.pem");
  await makeSigningKey(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(makeSigningKey(path), /never overwritten/);
  assert.throws(() => exportRun("in-toto", input), /give --key FILE/);
  const key = await readSigningKey(path);
  const envelope = envelopeSchema.parse(JSON.parse(exportRun("in-toto", input, { key })));
  const body = openEnvelope(envelope, createPublicKey(key));
  const statement = JSON.parse(body?.toString() ?? "null") as {
    _type: string; predicateType: string; subject: { digest: { sha256: string } }[];
    predicate: Record<"passedTests" | "warnedTests" | "failedTests", string[]> & { result: string };
  };
  assert.deepEqual([statement._type, statement.predicateType, statement.predicate.result], ["https://in-toto.io/Statement/v1", "https://in-toto.io/attestation/test-result/v0.1", "FAILED"]);
  const { passedTests, warnedTests, failedTests } = statement.predicate;
  assert.deepEqual([passedTests.length, warnedTests.length, failedTests.length], (["passedTests", "warnedTests", "failedTests"] as const).map((list) => cases.filter((each) => SPELLINGS[each.status].inToto === list).length));
  assert.equal(statement.subject[0]?.digest.sha256.length, 64);

  writeFileSync(join(dir, "pae"), preAuthEncoding(envelope.payloadType, Buffer.from(envelope.payload, "base64")));
  writeFileSync(join(dir, "sig"), Buffer.from(envelope.signatures[0]?.sig ?? "", "base64"));
  const openssl = (file: string): number | null => spawnSync("openssl", ["pkeyutl", "-verify", "-pubin", "-inkey", `${path}.pub`, "-rawin", "-in", file, "-sigfile", join(dir, "sig")]).status;
  assert.equal(openssl(join(dir, "pae")), 0);
  writeFileSync(join(dir, "pae2"), preAuthEncoding(envelope.payloadType, Buffer.from("other")));
  assert.equal(openssl(join(dir, "pae2")), 1);
  assert.equal(openEnvelope({ ...envelope, payload: Buffer.from("other").toString("base64") }, createPublicKey(key)), null);
  assert.equal(preAuthEncoding("http://example.com/HelloWorld", Buffer.from("hello world")).toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

test("GitHub gets one line a finding, and no text of a guest is a command or markup", () => {
  const lines = exportRun("github", input).trimEnd().split("\n");
  assert.ok(lines.every((line) => /^::(error|warning|notice)/.test(line)));
  assert.equal(lines.filter((line) => line.startsWith("::error")).length, 1 + 2 * 3);
  assert.match(lines.find((line) => line.includes("forged")) ?? "", /file=conformance\/tests\/[a-z]+\/made-up\.spec\.ts,title=[^:,]+::failed%3A|::failed: first & <b>/);
  const summary = toGithubSummary(input);
  assert.match(summary, /^## buslab: violated$/m);
  assert.equal(/<b>|::error/.test(summary), false);
});

test("a run without a verdict is refused by name", async () => {
  rmSync(join(dir, "empty"), { recursive: true, force: true });
  await assert.rejects(readExportInput(join(dir, "empty")), /verdict\.json cannot be read/);
  assert.equal(existsSync(join(dir, "empty")), false);
  assert.ok(readFileSync(join(dir, MADE.run, "verdict.json")).length > 0);
});
