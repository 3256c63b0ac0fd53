import type { JSX } from "preact";
import type { CrashEvents, CrashList } from "../../../schemas/views.ts";
import { get, useLoad, withQuery } from "../api.ts";
import { Empty, Page, RunLink, Show, Table, Target, testHref, TestTitle, Time } from "../ui/bits.tsx";
import { Mark } from "../ui/marks.tsx";
import { plural, visible } from "../ui/text.ts";

export function CrashesPage(): JSX.Element {
  const loaded = useLoad("crashes", (abort) => get<CrashList>("/crashes", { limit: 200 }, abort));
  return (
    <Page title="Crashes">
      <p class="lead">What kernels complained of, one row a fingerprint: the same crash is one row, whatever its addresses and times. Planted faults are left out.</p>
      <Show of={loaded}>
        {({ rows, total }) =>
          total === 0 ? (
            <Empty title="No kernel complained in any run" />
          ) : (
            <Table caption="Crashes, last seen first" head={["Crash", "Kind", "Seen", "Targets", "Last seen", "First seen"].map((name) => <th key={name} scope="col">{name}</th>)}>
              {rows.map((row) => (
                <tr key={row.fingerprint}>
                  <td class="text">
                    <Mark state="crashed" />{" "}
                    <a class="row-link" href={withQuery("/crashes/seen", { fingerprint: row.fingerprint })}>
                      {visible(row.title)}
                    </a>
                    <div class="muted mono">{visible(row.fingerprint)}</div>
                  </td>
                  <td>{row.kind}</td>
                  <td class="num">
                    {plural(row.count, "time")} in {plural(row.runs, "run")}
                  </td>
                  <td>
                    {row.targets.map((target) => (
                      <div key={target}>
                        <Target id={target} />
                      </div>
                    ))}
                  </td>
                  <td>
                    <Time at={row.lastSeen} />
                    <div>
                      <RunLink run={row.lastRun} />
                    </div>
                  </td>
                  <td>
                    <Time at={row.firstSeen} />
                    <div>
                      <RunLink run={row.firstRun} />
                    </div>
                  </td>
                </tr>
              ))}
            </Table>
          )
        }
      </Show>
    </Page>
  );
}

export function CrashPage({ fingerprint }: { fingerprint: string }): JSX.Element {
  const loaded = useLoad(fingerprint, (abort) => get<CrashEvents>("/crashes/events", { fingerprint, limit: 200 }, abort));
  return (
    <Show of={loaded}>
      {({ rows, total }) => {
        const [newest] = rows;
        if (newest === undefined) return <Page title="Crash"><Empty title="No run has this crash">{visible(fingerprint)}</Empty></Page>; // prettier-ignore
        return (
          <Page title={visible(newest.title)}>
            <p class="lead mono">{visible(fingerprint)}</p>
            <h2>Report, as last seen</h2>
            <pre class="console" tabIndex={0} aria-label="Kernel report">{visible(newest.excerpt)}</pre>
            <h2>Seen {plural(total, "time")}</h2>
            <Table caption="Each time it was seen, newest first" head={["Run", "Target", "Test"].map((name) => <th key={name} scope="col">{name}</th>)}>
              {rows.map((row, index) => (
                <tr key={`${row.run}${row.target}${row.test ?? ""}${index}`}>
                  <td><RunLink run={row.run} /></td>
                  <td><Target id={row.target} /></td>
                  <td class="text">{row.test === null ? <span class="muted">outside of any test</span> : <a href={testHref(row.run, row.target, row.test)}><TestTitle test={row.test} /></a>}</td>
                </tr>
              ))}
            </Table>
          </Page>
        );
      }}
    </Show>
  ); // prettier-ignore
}
