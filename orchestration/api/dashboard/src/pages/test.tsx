import type { JSX } from "preact";
import type { TestDetail, TestHistory } from "../../../schemas/runs.ts";
import { API, get, getFile, useLoad, withQuery } from "../api.ts";
import { Empty, Page, requirementHref, RunLink, runHref, Show, Table, Target, testHref, TestTitle, Time } from "../ui/bits.tsx";
import { Mark, Verdict, wordOf } from "../ui/marks.tsx";
import { bytes, duration, fileOf, plural, visible } from "../ui/text.ts";

const WINDOW = 65_536;

export function TestPage({ run, target, test }: { run: string; target: string; test: string }): JSX.Element {
  const loaded = useLoad(`${run} ${target} ${test}`, (abort) => get<TestDetail>(`/runs/${run}/test`, { target, test }, abort));
  return <Show of={loaded}>{(detail) => <Detail detail={detail} />}</Show>;
}

function Detail({ detail }: { detail: TestDetail }): JSX.Element {
  const { run, target } = detail;
  return (
    <Page title={<TestTitle test={detail.test} />}>
      <p class="crumbs">
        <RunLink run={run} /> <span aria-hidden="true">›</span>{" "}
        <a href={runHref(run, { target })}>
          <Target id={target} />
        </a>{" "}
        <span aria-hidden="true">›</span> <span class="mono">{fileOf(detail.test)}</span>
      </p>
      <p class="outcome-line">
        <Verdict state={detail.outcome} big />
        {detail.durationMs !== null && <span class="muted">in {duration(detail.durationMs)}</span>}
        {detail.waived && <span class="tag">waived</span>}
      </p>
      {detail.outcome !== "passed" && detail.message !== null && <p class="because">{visible(detail.message)}</p>}
      {detail.texts.length > 0 && (
        <section aria-label="Requirements">
          {detail.texts.map((row) => (
            <p key={row.id} class="requirement">
              <a class="req-id" href={requirementHref(row.id)}>{row.id}</a> <span class="level">{row.level}</span> {row.text}
            </p>
          ))}
        </section>
      )}
      {detail.events.map((event, index) => (
        <section key={index} aria-label="Kernel event">
          <h2>
            <Mark state="crashed" /> <a href={withQuery("/crashes/seen", { fingerprint: event.fingerprint })}>{visible(event.title)}</a>
          </h2>
          <pre class="console" tabIndex={0} aria-label="Kernel report">{visible(event.excerpt)}</pre>
        </section>
      ))}
      <Attempts detail={detail} />
      <Evidence detail={detail} />
      <History detail={detail} />
    </Page>
  ); // prettier-ignore
}

function Attempts({ detail }: { detail: TestDetail }): JSX.Element {
  const told = detail.attempts.filter((attempt) => attempt.errors.length + attempt.unsupported.length > 0 || detail.attempts.length > 1);
  if (told.length === 0) return <></>;
  return (
    <section>
      <h2>What the runner said</h2>
      {told.map((attempt) => (
        <div key={attempt.attempt}>
          <p class="muted">
            {detail.attempts.length > 1 && `Attempt ${attempt.attempt}: `}
            {attempt.runner ?? "no result was recorded"}, begun <Time at={attempt.begunAt} />
            {attempt.limitMs !== null && `, limit ${duration(attempt.limitMs)}`}
          </p>
          {attempt.unsupported.length > 0 && <p>Missing in the subject: {attempt.unsupported.join(", ")}</p>}
          {attempt.errors.map((error, index) => (
            <pre key={index} class="message" tabIndex={0} aria-label="Message">
              {error.code !== null && `${error.code}: `}
              {visible(error.message)}
            </pre>
          ))}
        </div>
      ))}
    </section>
  );
}

function Evidence({ detail }: { detail: TestDetail }): JSX.Element {
  const { evidence, run } = detail;
  if (evidence.length === 0) return detail.outcome === "passed" ? <></> : <section><h2>Evidence</h2><Empty title="No files are kept for this test">Files are kept of tests that fail or during which the kernel complains.</Empty></section>; // prettier-ignore
  const order = (path: string): number => (path.endsWith("explanation.txt") ? 0 : path.endsWith("console.log") ? 1 : 2);
  return (
    <section>
      <h2>Evidence</h2>
      {[...evidence].sort((a, b) => order(a.path) - order(b.path)).map((file) => {
        const name = file.path.split("/").at(-1) ?? file.path;
        if (file.prunedAt !== null) return <Empty key={file.path} title={`${name} was removed by retention`}>At <Time at={file.prunedAt} />.</Empty>;
        return (
          <details key={file.path} open={order(file.path) < 2}>
            <summary>
              {name} <span class="muted">{bytes(file.bytes)}</span>
            </summary>
            <FileView run={run} path={file.path} size={file.bytes} offset={name === "console.log" ? (detail.events[0]?.consoleOffset ?? null) : null} />
          </details>
        );
      })}
    </section>
  ); // prettier-ignore
}

/** A window of the file: around the kernel's report where there is one, else its end, where a test went wrong. */
function FileView({ run, path, size, offset }: { run: string; path: string; size: number; offset: number | null }): JSX.Element {
  const isConsole = path.endsWith(".log");
  const from = !isConsole ? 0 : offset !== null && offset >= 0 ? Math.max(0, offset - WINDOW / 4) : -WINDOW;
  const loaded = useLoad(`${run} ${path}`, (abort) => getFile(run, path, { from, bytes: WINDOW }, abort));
  const whole = withQuery(`${API}/runs/${run}/file`, { path, bytes: Math.max(1, Math.min(size, 16 * 1024 * 1024)) });
  return (
    <Show of={loaded}>
      {(file) => (
        <>
          <pre class={isConsole ? "console" : "message"} tabIndex={0} aria-label={path.split("/").at(-1) ?? path}>{visible(file.text) || "(empty)"}</pre>
          <p class="muted">
            {file.text.length < file.total && `${bytes(WINDOW)} of it from byte ${file.from.toLocaleString("en")}. `}
            <a href={whole}>Whole file</a> · <a href={`${whole}&download=true`} download>Download</a>
          </p>
        </>
      )}
    </Show>
  ); // prettier-ignore
}

function History({ detail }: { detail: TestDetail }): JSX.Element {
  const { test, target, run } = detail;
  const loaded = useLoad(`history ${test}`, (abort) => get<TestHistory>("/tests/history", { test, limit: 300 }, abort));
  return (
    <section>
      <h2>In other runs</h2>
      <Show of={loaded}>
        {({ rows }) => {
          const here = rows.filter((row) => row.target === target);
          const elsewhere = [...new Map([...rows].reverse().filter((row) => row.target !== target).map((row) => [row.target, row])).values()];
          return (
            <>
              <div class="strip" role="group" aria-label="Results on this target, oldest first">
                {here.slice(0, 60).reverse().map((row) => (
                  <a key={row.run} class={row.run === run ? "chosen" : ""} href={testHref(row.run, row.target, test)} title={`${row.run}: ${wordOf(row.outcome)}`} aria-label={`${row.run}: ${wordOf(row.outcome)}`} aria-current={row.run === run ? "true" : undefined}>
                    <Mark state={row.outcome} />
                  </a>
                ))}
              </div>
              <p class="muted">
                {plural(here.length, "result")} on this target, oldest first; {plural(here.filter((row) => row.outcome === "passed").length, "pass", "passes")}.
              </p>
              {elsewhere.length > 0 && (
                <Table caption="Newest result on other targets" head={["Target", "Outcome", "Run", "When", "Took"].map((name) => <th key={name} scope="col">{name}</th>)}>
                  {elsewhere.map((row) => (
                    <tr key={row.target}>
                      <td><a href={testHref(row.run, row.target, test)}><Target id={row.target} /></a></td>
                      <td><Mark state={row.outcome} word /></td>
                      <td><RunLink run={row.run} /></td>
                      <td><Time at={row.startedAt} /></td>
                      <td class="num">{duration(row.durationMs)}</td>
                    </tr>
                  ))}
                </Table>
              )}
            </>
          );
        }}
      </Show>
    </section>
  ); // prettier-ignore
}
