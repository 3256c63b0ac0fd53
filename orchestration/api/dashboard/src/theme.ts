import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const KEY = "buslab-theme";
export const theme = signal<Theme>("auto");

export function startTheme(): void {
  const kept = localStorage.getItem(KEY);
  set(kept === "light" || kept === "dark" ? kept : "auto");
}

export function nextTheme(): void {
  set(theme.value === "auto" ? "light" : theme.value === "light" ? "dark" : "auto");
}

function set(wanted: Theme): void {
  theme.value = wanted;
  if (wanted === "auto") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(KEY, wanted);
    document.documentElement.dataset["theme"] = wanted;
  }
}
