import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { aptLineOf, parseDeb822, parseOneLine, readAptSources, sourcesFor } from "./apt-sources.ts";

const DEB822 = `# a comment
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
# a comment inside a stanza
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc: def

Types: deb
Enabled: no
URIs: http://mirror.invalid/off
Suites: bookworm
Components: main

Types: deb-src
URIs: http://mirror.invalid/source-only
Suites: bookworm
Components: main
`;

test("deb822 stanzas become one source for each address and suite", () => {
  const sources = parseDeb822(DEB822);

  assert.deepEqual(
    sources.map((source) => [source.uri, source.suite, source.signedBy]),
    [
      ["http://mirror.invalid/debian", "bookworm", "/usr/share/keyrings/debian-archive-keyring.gpg"],
      ["http://mirror.invalid/debian", "bookworm-updates", "/usr/share/keyrings/debian-archive-keyring.gpg"],
      ["http://mirror.invalid/debian-security", "bookworm-security", undefined],
    ],
  );
});

test("one-line sources are read with their options, comments and sources of source are not", () => {
  const sources = parseOneLine(
    [
      "# deb http://mirror.invalid/no bookworm main",
      "deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://mirror.invalid/debian bookworm main contrib # why",
      "deb-src http://mirror.invalid/debian bookworm main",
      "  deb http://mirror.invalid/debian bookworm-updates main",
    ].join("\n"),
  );

  assert.deepEqual(sources, [
    { uri: "http://mirror.invalid/debian", suite: "bookworm", components: ["main", "contrib"], signedBy: "/k.gpg", trusted: true },
    { uri: "http://mirror.invalid/debian", suite: "bookworm-updates", components: ["main"] },
  ]);
});

test("an image takes the release's own suites and the component main", () => {
  const host = [...parseDeb822(DEB822), ...parseOneLine("deb http://other.invalid/apt tools main\ndeb http://mirror.invalid/debian bookworm-backports main")];

  assert.deepEqual(sourcesFor("bookworm", host, undefined).map(aptLineOf), [
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/debian bookworm main",
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/debian bookworm-updates main",
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/debian-security bookworm-security main",
  ]);
});

test("an archive the host trusts without a signature stays trusted", () => {
  const [source] = parseOneLine("deb [trusted=yes] file:///srv/debian bookworm main");

  assert.ok(source !== undefined);
  assert.equal(aptLineOf(source), "deb [trusted=yes] file:///srv/debian bookworm main");
});

test("a given mirror replaces the host's, and a wrong one is refused", () => {
  assert.deepEqual(sourcesFor("bookworm", [], "file:///srv/debian").map(aptLineOf), ["deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] file:///srv/debian bookworm main"]);
  assert.throws(() => sourcesFor("bookworm", [], "not an address"), { code: "CONFIG_INVALID", message: /BUSLAB_DEBIAN_MIRROR is "not an address"/ });
});

test("a host without the release is told what was found and what to set", () => {
  const host = parseOneLine("deb http://mirror.invalid/debian trixie main");

  assert.throws(() => sourcesFor("bookworm", host, undefined), { code: "HOST_NETWORK", message: /suites found: trixie.*BUSLAB_DEBIAN_MIRROR/ });
});

test("both files and folder of an apt configuration are read", async () => {
  const etc = await mkdtemp(join(tmpdir(), "apt-"));
  await mkdir(join(etc, "sources.list.d"));
  await writeFile(join(etc, "sources.list"), "deb http://a.invalid/ bookworm main\n");
  await writeFile(join(etc, "sources.list.d/b.sources"), "Types: deb\nURIs: http://b.invalid/\nSuites: bookworm-security\nComponents: main\n");
  await writeFile(join(etc, "sources.list.d/c.list.disabled"), "deb http://c.invalid/ bookworm main\n");

  const found = await readAptSources(etc);
  await rm(etc, { recursive: true });

  assert.deepEqual(found.map((source) => source.uri), ["http://a.invalid/", "http://b.invalid/"]);
});
