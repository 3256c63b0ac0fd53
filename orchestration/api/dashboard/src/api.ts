import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Problem } from "../../schemas/common.ts";
import type { Session } from "../../handlers/session.ts";

export const API = "/api/v1";
/** Who we are to the centre; null until it answered. */
export const session = signal<Session | null>(null);

/** What the centre refused with, in its own words. */
export class Refusal extends Error {
  readonly status: number;
  readonly hint: string;

  constructor(status: number, message: string, hint: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Path with a query; keys without a value are left out. */
export function withQuery(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== "") search.set(key, String(value));
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

export async function get<T>(path: string, query: Query = {}, abort?: AbortSignal): Promise<T> {
  return (await (await send(path, query, abort)).json()) as T;
}

export interface FileWindow {
  readonly text: string;
  readonly from: number;
  readonly total: number;
}

/** A window of a file of a run. It is data: show it as text only, after {@link file://./ui/text.ts} cleaned it. */
export async function getFile(run: string, path: string, query: Query, abort?: AbortSignal): Promise<FileWindow> {
  const answer = await send(`/runs/${run}/file`, { path, ...query }, abort);
  return { text: await answer.text(), from: Number(answer.headers.get("x-from") ?? 0), total: Number(answer.headers.get("x-total-bytes") ?? 0) };
}

async function send(path: string, query: Query, abort?: AbortSignal): Promise<Response> {
  const answer = await fetch(withQuery(API + path, query), abort === undefined ? {} : { signal: abort });
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

async function refusalOf(answer: Response): Promise<Refusal> {
  const body = (await answer.json().catch(() => null)) as Problem | null;
  if (answer.status === 401) await loadSession();
  return new Refusal(answer.status, body?.message ?? `the centre answered ${answer.status}`, body?.hint ?? "Load the page again.");
}

export async function loadSession(): Promise<void> {
  const answer = await fetch(`${API}/session`).catch(() => null);
  if (answer?.ok === true) session.value = (await answer.json()) as Session;
}

export async function signIn(token: string): Promise<void> {
  const answer = await fetch(`${API}/session`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token }) });
  if (!answer.ok) throw await refusalOf(answer);
  session.value = (await answer.json()) as Session;
}

export async function signOut(): Promise<void> {
  await fetch(`${API}/session`, { method: "DELETE" });
  await loadSession();
}

export type Loaded<T> = { readonly state: "loading"; readonly old: T | null } | { readonly state: "ready"; readonly value: T } | { readonly state: "refused"; readonly refusal: Refusal };

/** Loads when `key` changes; what came before stays on the page until the new arrives. */
export function useLoad<T>(key: string, load: (abort: AbortSignal) => Promise<T>): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: "loading", old: null });
  useEffect(() => {
    const abort = new AbortController();
    setLoaded((before) => ({ state: "loading", old: before.state === "ready" ? before.value : null }));
    load(abort.signal).then(
      (value) => setLoaded({ state: "ready", value }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setLoaded({ state: "refused", refusal: error instanceof Refusal ? error : new Refusal(0, "The centre does not answer.", "Make sure that it still runs, then load the page again.") });
      },
    );
    return () => abort.abort();
  }, [key]);
  return loaded;
}
