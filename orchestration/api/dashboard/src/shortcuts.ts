import { signal } from "@preact/signals";
import { go } from "./router.ts";

export const PAGES = [
  { key: "m", path: "/", name: "Matrix" },
  { key: "r", path: "/runs", name: "Runs" },
  { key: "q", path: "/requirements", name: "Requirements" },
  { key: "c", path: "/compare", name: "Compare" },
  { key: "k", path: "/crashes", name: "Crashes" },
  { key: "b", path: "/benchmarks", name: "Benchmarks" },
  { key: "w", path: "/waivers", name: "Waivers" },
] as const;

export const helpOpen = signal(false);
/** True between `g` and the letter of a page; however long that takes somebody. */
let going = false;

/** Single keys, as long as nobody types text: `g` and a letter goes to a page, `j` and `k` walk the rows of a table. */
export function startShortcuts(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Shift" || typing(event.target)) return;
    // First, because a letter of a page may be a command by itself.
    const page = going ? PAGES.find((each) => each.key === event.key) : undefined;
    going = !going && event.key === "g";
    if (page !== undefined) go(page.path);
    else if (event.key === "?") helpOpen.value = !helpOpen.value;
    else if (event.key === "/") focusFilter();
    else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else return;
    event.preventDefault();
  });
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

function focusFilter(): void {
  document.querySelector<HTMLInputElement>("input[type=search]")?.focus();
}

function step(by: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>("main tbody tr > :first-child a, main tbody tr a.row-link")].filter((link) => link.offsetParent !== null);
  const rows = [...new Map(links.map((link) => [link.closest("tr"), link])).values()];
  const now = rows.findIndex((link) => link.closest("tr")?.contains(document.activeElement) === true);
  const next = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(now + by, 0), rows.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
