import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { LiveState } from "../../../schemas/live.ts";
import { API, get } from "../api.ts";
import { Mark } from "../ui/marks.tsx";
import { Target, TestTitle, Time } from "../ui/bits.tsx";
import { duration, plural, visible } from "../ui/text.ts";

/** Follows a run by server-sent events. The browser comes back by itself when the line breaks. */
export function useLive(run: string, onEnd: () => void): LiveState | null {
  const [live, setLive] = useState<LiveState | null>(null);
  useEffect(() => {
    const source = new EventSource(`${API}/runs/${run}/events?what=progress`);
    source.addEventListener("progress", (event) => setLive(JSON.parse((event as MessageEvent<string>).data) as LiveState));
    source.addEventListener("end", () => {
      source.close();
      onEnd();
    });
    return () => source.close();
  }, [run]);
  return live;
}

/** One line in a list; asks now and then, a stream for each row would be many. */
export function LiveLine({ run }: { run: string }): JSX.Element {
  const [live, setLive] = useState<LiveState | null>(null);
  useEffect(() => {
    const ask = (): void => void get<LiveState>(`/runs/${run}/live`).then(setLive, () => undefined);
    ask();
    const timer = setInterval(ask, 3_000);
    return () => clearInterval(timer);
  }, [run]);
  return live === null ? <span class="muted">…</span> : <Progress live={live} label={`Progress of run ${run}`} />;
}

function Progress({ live, label }: { live: LiveState; label: string }): JSX.Element {
  return (
    <span class="live-line">
      <progress max={Math.max(live.planned, 1)} value={live.done} aria-label={label} />
      <span class="num">
        {live.done.toLocaleString("en")} of {live.planned.toLocaleString("en")}
      </span>
      {live.failed > 0 && (
        <span class="count-item">
          <Mark state="failed" />
          <span class="num">{live.failed}</span>
        </span>
      )}
    </span>
  );
}

export function LivePanel({ run, onEnd }: { run: string; onEnd: () => void }): JSX.Element {
  const live = useLive(run, onEnd);
  if (live === null) return <div class="loading" role="status">Following the run…</div>; // prettier-ignore
  return (
    <section class="card live" aria-label="Progress">
      <div class="live-head">
        <Progress live={live} label="Tests done" />
        <span role="status" aria-live="polite" class="muted">
          {live.passed.toLocaleString("en")} passed, {live.failed.toLocaleString("en")} failed so far, by the runner; the judge speaks at the end
          {live.leftMs !== null && live.state === "running" ? `; about ${duration(live.leftMs)} to go` : ""}
        </span>
      </div>
      <div class="columns">
        <div>
          <h2>Targets</h2>
          <ul class="plain">
            {live.targets.map((target) => (
              <li key={target.target}>
                <Mark state={target.state} /> <Target id={target.target} />{" "}
                <span class="muted num">
                  {target.done} of {target.planned}
                  {target.failed > 0 ? `, ${target.failed} failed` : ""}
                </span>
                {target.error !== null && <div class="because">{visible(target.error)}</div>}
              </li>
            ))}
          </ul>
        </div>
        <div>
          <h2>Now</h2>
          {live.current.length === 0 ? <p class="muted">{live.done === 0 ? "Machines are being brought up" : "No test runs at this moment"}</p> : (
            <ul class="plain">
              {live.current.map((each) => (
                <li key={`${each.target}${each.test}`} class="clip">
                  <Mark state="running" /> <TestTitle test={each.test} />
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
      {live.errors.map((error) => (
        <p key={error.at} class="because">
          {error.code}: {visible(error.message)}
        </p>
      ))}
      <Feed title={plural(live.events.length, "kernel event")} rows={live.events.map((event) => ({ ...event, state: "crashed", text: event.title }))} />
      <Feed title={plural(live.failures.length, "failure")} rows={live.failures.map((failure) => ({ ...failure, state: "failed", text: failure.message.split("\n")[0] ?? "" }))} />
    </section>
  ); // prettier-ignore
}

function Feed({ title, rows }: { title: string; rows: readonly { at: string; target: string; test: string | null; state: string; text: string }[] }): JSX.Element | null {
  if (rows.length === 0) return null;
  return (
    <>
      <h2>{title}, newest first</h2>
      <ul class="plain feed" tabIndex={0} aria-label={title}>
        {rows.map((row, index) => (
          <li key={`${row.at}${index}`}>
            <Mark state={row.state} /> <Time at={row.at} /> {row.test !== null && <TestTitle test={row.test} />} <span class="muted">{visible(row.text)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
