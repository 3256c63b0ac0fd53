import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";

/** Of the package debian-archive-keyring. */
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** One archive and one suite of an apt configuration. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Keyring file, where the entry names one. */
  readonly signedBy?: string;
  readonly trusted?: boolean;
}

/** Every enabled binary source of an apt configuration folder, one-line and deb822 style. */
export async function readAptSources(etcApt = "/etc/apt"): Promise<AptSource[]> {
  const parts = await readdir(join(etcApt, "sources.list.d")).catch(() => []);
  const found = parseOneLine(await readText(join(etcApt, "sources.list")));
  for (const name of parts.sort()) {
    if (name.endsWith(".list")) found.push(...parseOneLine(await readText(join(etcApt, "sources.list.d", name))));
    if (name.endsWith(".sources")) found.push(...parseDeb822(await readText(join(etcApt, "sources.list.d", name))));
  }
  return found;
}

/** `deb [signed-by=KEYRING] URI SUITE COMPONENT...` */
export function parseOneLine(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) return [];
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const option = (name: string): string | undefined => new RegExp(`(?:^|\\s)${name}=(\\S+)`, "i").exec(options)?.[1];
    return [withOptions({ uri, suite, components: words(components) }, option("signed-by"), option("trusted"))];
  });
}

/** Stanzas of `Types:`, `URIs:`, `Suites:`, `Components:`; one source for each pair of address and suite. */
export function parseDeb822(text: string): AptSource[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return lines
    .join("\n")
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const fields = new Map<string, string>();
      for (const match of stanza.replaceAll(/\n[ \t]+/g, " ").matchAll(/^([\w-]+):[ \t]*(.*)$/gm)) fields.set((match[1] ?? "").toLowerCase(), match[2] ?? "");
      if (!words(fields.get("types")).includes("deb") || /^(no|false)$/i.test(fields.get("enabled") ?? "")) return [];
      const signedBy = fields.get("signed-by");
      // A key written into the stanza itself has no file to point at; the archive's own keyring serves then.
      const keyring = signedBy?.startsWith("/") === true ? signedBy : undefined;
      return words(fields.get("uris")).flatMap((uri) =>
        words(fields.get("suites")).map((suite) => withOptions({ uri, suite, components: words(fields.get("components")) }, keyring, fields.get("trusted"))),
      );
    });
}

/**
 * The sources an image of a Debian release is made from: those of the host that are of that release (its updates and
 * security suites too), component `main`; or `mirror` alone when it is given.
 * @throws HOST_NETWORK when the host's apt configuration names no archive of that release
 */
export function sourcesFor(codename: string, host: readonly AptSource[], mirror: string | undefined): AptSource[] {
  if (mirror !== undefined && mirror !== "") {
    if (!/^[a-z]+:\/{1,3}\S+$/.test(mirror)) throw new SuiteError("CONFIG_INVALID", `BUSLAB_DEBIAN_MIRROR is "${mirror}"; expected the address of a Debian archive, e.g. file:///srv/debian`);
    return [{ uri: mirror, suite: codename, components: ["main"] }];
  }
  const wanted = [codename, `${codename}-updates`, `${codename}-security`, `${codename}/updates`];
  const fitting = host.filter((source) => wanted.includes(source.suite) && source.components.includes("main"));
  const unique = new Map(fitting.map((source) => [`${source.uri} ${source.suite}`, { ...source, components: ["main"] }]));
  if (![...unique.values()].some((source) => source.suite === codename)) {
    const seen = [...new Set(host.map((source) => source.suite))].join(", ");
    throw new SuiteError(
      "HOST_NETWORK",
      `this host's apt configuration has no archive of Debian ${codename} (suites found: ${seen === "" ? "none" : seen}); set BUSLAB_DEBIAN_MIRROR to the address of one`,
    );
  }
  return [...unique.values()];
}

/** The source as one line of sources.list; without a keyring of its own it must be signed by Debian's. */
export function aptLineOf(source: AptSource): string {
  const option = source.trusted === true ? "trusted=yes" : `signed-by=${source.signedBy ?? DEBIAN_KEYRING}`;
  return ["deb", `[${option}]`, source.uri, source.suite, ...source.components].join(" ");
}

function withOptions(source: AptSource, signedBy: string | undefined, trusted: string | undefined): AptSource {
  return { ...source, ...(signedBy === undefined ? {} : { signedBy }), ...(/^yes$/i.test(trusted ?? "") ? { trusted: true } : {}) };
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
