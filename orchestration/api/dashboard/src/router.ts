import { signal } from "@preact/signals";
import { withQuery, type Query } from "./api.ts";

export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

export const place = signal<Place>(here());

function here(): Place {
  return { path: decodePath(location.pathname), query: new URLSearchParams(location.search) };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export function go(href: string): void {
  history.pushState(null, "", href);
  place.value = here();
  scrollTo(0, 0);
}

/** Changes keys of the query in place: filters are part of the address, so a filtered page can be sent to somebody. */
export function setQuery(changes: Query): void {
  const all = Object.fromEntries(place.value.query);
  history.replaceState(null, "", withQuery(location.pathname, { ...all, ...changes }));
  place.value = here();
}

/** Follows links of our own without loading the document again. */
export function startRouter(): void {
  addEventListener("popstate", () => (place.value = here()));
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link === null || !plain || event.defaultPrevented || link.origin !== location.origin || link.hasAttribute("download") || link.target !== "" || link.pathname.startsWith("/api/") || link.hash !== "") return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
