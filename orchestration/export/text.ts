import { stripVTControlCharacters } from "node:util";

/** Text that may have come from a guest's console: no escape sequences, no control characters but line feed and tab, no half surrogates. Legal in XML 1.0. */
export function plain(text: string): string {
  return (
    stripVTControlCharacters(text.toWellFormed())
      .replaceAll("\r\n", "\n")
      // XML 1.0 section 2.2: Char
      .replaceAll(/[^\t\n\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\u007f-\u009f]/gu, "\ufffd")
  );
}

/** The same in one line. */
export function oneLine(text: string): string {
  return plain(text).replaceAll(/\s+/g, " ").trim();
}

export function escapeXml(text: string): string {
  return plain(text).replaceAll(/[&<>"']/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" })[sign] ?? sign);
}

/** In an attribute a line feed must be written as a reference, or a reader makes a blank of it. */
export function escapeAttribute(text: string): string {
  return escapeXml(text).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}

/** Gives each name back once, later ones of the same with a number behind: readers keep only the first of equal names. */
export class UniqueNames {
  private readonly seen = new Set<string>();

  take(name: string): string {
    let unique = name;
    for (let count = 2; this.seen.has(unique); count++) unique = `${name} [${count}]`;
    this.seen.add(unique);
    return unique;
  }
}
