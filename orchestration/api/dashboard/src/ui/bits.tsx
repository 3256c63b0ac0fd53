import type { ComponentChildren, JSX } from "preact";
import type { Loaded, Query, Refusal } from "../api.ts";
import { withQuery } from "../api.ts";
import { titleOf, visible } from "./text.ts";

const SAME_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const OTHER_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

/** In the reader's zone; the exact time in UTC when pointed at. */
export function Time({ at }: { at: string | null }): JSX.Element {
  if (at === null) return <span class="muted">unknown</span>;
  const date = new Date(at);
  const utc = `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  return (
    <time dateTime={at} title={utc}>
      {(date.getFullYear() === new Date().getFullYear() ? SAME_YEAR : OTHER_YEAR).format(date)}
    </time>
  );
}

/** A target's four parts; the ones that differ between rows catch the eye. */
export function Target({ id }: { id: string }): JSX.Element {
  const parts = id.split("/");
  return (
    <span class="target" title={id}>
      {parts.map((part, index) => (
        <span key={index} class={`part-${index}`}>
          {index > 0 && <span class="slash">/</span>}
          {part}
        </span>
      ))}
    </span>
  );
}

export function TestTitle({ test }: { test: string }): JSX.Element {
  const match = /^([A-Z]+-\d{3}) (.*)$/s.exec(titleOf(test));
  return match === null ? <>{visible(titleOf(test))}</> : (
    <>
      <span class="req-id">{match[1]}</span> {visible(match[2] ?? "")}
    </>
  ); // prettier-ignore
}

export const runHref = (run: string, query: Query = {}): string => withQuery(`/runs/${run}`, query);
export const testHref = (run: string, target: string, test: string): string => withQuery(`/runs/${run}/test`, { target, test });
export const requirementHref = (id: string): string => `/requirements/${id}`;

export function RunLink({ run }: { run: string }): JSX.Element {
  return (
    <a class="run-id" href={runHref(run)}>
      {run}
    </a>
  );
}

/** Shows what was loaded, and what there is to say while it was not. */
export function Show<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }): JSX.Element {
  if (of.state === "refused") return <Refused refusal={of.refusal} />;
  if (of.state === "ready") return <>{children(of.value)}</>;
  if (of.old !== null) return <div class="stale" aria-busy="true">{children(of.old)}</div>; // prettier-ignore
  return (
    <div class="loading" role="status">
      Loading…
    </div>
  );
}

export function Refused({ refusal }: { refusal: Refusal }): JSX.Element {
  return (
    <div class="notice bad" role="alert">
      <strong>{refusal.status === 404 ? "There is nothing here" : "The centre could not answer"}</strong>
      <p>{refusal.message}</p>
      <p class="muted">{refusal.hint}</p>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="notice">
      <strong>{title}</strong>
      {children !== undefined && <p class="muted">{children}</p>}
    </div>
  );
}

export function Page({ title, aside, children }: { title: ComponentChildren; aside?: ComponentChildren; children: ComponentChildren }): JSX.Element {
  return (
    <>
      <div class="page-head">
        <h1>{title}</h1>
        {aside !== undefined && <div class="page-aside">{aside}</div>}
      </div>
      {children}
    </>
  );
}

/** A table that scrolls by itself on narrow screens; it can be reached and moved by keyboard. */
export function Table({ caption, head, children, className = "" }: { caption: string; head: ComponentChildren; children: ComponentChildren; className?: string }): JSX.Element {
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label={caption}>
      <table class={className}>
        <caption class="sr">{caption}</caption>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
