/** Control sequences of terminals: CSI, OSC with its end, and the short ones. */
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
/** Marks that turn the direction of writing: with them a line reads other than it is. */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text of guests as it may be shown: colours and cursor movements of terminals are dropped, what else cannot be seen is
 * made visible. Markup needs nothing here: it is only ever set as text.
 */
export function visible(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(SEQUENCES, "")
    .replaceAll("\r", "\n")
    .replace(CONTROLS, (sign) => (sign === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + sign.charCodeAt(0))))
    .replace(BIDI, (sign) => `<U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 ** 2 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

export function duration(ms: number | null): string {
  if (ms === null) return "";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.round((ms % 3_600_000) / 60_000)} min`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Title of a test without the file before it. */
export function titleOf(test: string): string {
  const at = test.indexOf(".ts:");
  return at < 0 ? test : test.slice(at + 4);
}

export function fileOf(test: string): string {
  const at = test.indexOf(".ts:");
  return at < 0 ? "" : test.slice(0, at + 3);
}
