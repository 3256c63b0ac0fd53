import type { JSX } from "preact";
import type { RequirementDetail } from "../../../schemas/views.ts";
import { get, useLoad, withQuery } from "../api.ts";
import { Empty, Page, RunLink, Show, Table, Target, testHref, TestTitle, Time } from "../ui/bits.tsx";
import { Mark, wordOf } from "../ui/marks.tsx";
import { plural, visible } from "../ui/text.ts";

export function RequirementPage({ id }: { id: string }): JSX.Element {
  const loaded = useLoad(id, (abort) => get<RequirementDetail>(`/requirements/${encodeURIComponent(id)}`, { limit: 400 }, abort));
  return <Show of={loaded}>{(detail) => <Detail detail={detail} />}</Show>;
}

type Row = RequirementDetail["history"]["rows"][number];

function Detail({ detail }: { detail: RequirementDetail }): JSX.Element {
  return (
    <Page title={<><span class="req-id">{detail.id}</span> <span class="level">{detail.level}</span></>}>
      <p class="statement">{detail.text}</p>
      <dl class="facts">
        <div><dt>Area</dt><dd><a href={withQuery("/requirements", { area: detail.area })}>{detail.area}</a></dd></div>
        {detail.source !== null && <div><dt>Source</dt><dd>{detail.source}</dd></div>}
        {detail.verify !== null && <div><dt>A way to check it</dt><dd>{detail.verify}</dd></div>}
        <div><dt>Generations</dt><dd>{detail.generations?.join(", ") ?? "both"}</dd></div>
        {detail.untestable !== null && <div><dt>Cannot be tested</dt><dd>{detail.untestable}</dd></div>}
      </dl>
      <h2>{plural(detail.tests.length, "test")}</h2>
      {detail.tests.length === 0 ? <Empty title="No run had a test for it" /> : (
        <Table caption="Tests that speak for it" head={["Test", "Newest outcome by target"].map((name) => <th key={name} scope="col">{name}</th>)}>
          {detail.tests.map((row) => (
            <tr key={row.test}>
              <td class="text"><TestTitle test={row.test} /></td>
              <td>
                {row.latest.map((each) => (
                  <div key={each.target}>
                    <a href={testHref(each.run, each.target, row.test)}><Mark state={each.outcome} /> <Target id={each.target} /></a>
                  </div>
                ))}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <h2>History over kernels and modules</h2>
      {detail.history.rows.length === 0 ? <Empty title="No run judged it yet" /> : <History rows={detail.history.rows} />}
    </Page>
  ); // prettier-ignore
}

/** One strip a kernel and module, so that a change of either is seen at once. */
function History({ rows }: { rows: readonly Row[] }): JSX.Element {
  const groups = Map.groupBy(rows, (row) => `${row.kernel}\0${row.module ?? ""}`);
  return (
    <Table caption="States by kernel and module, newest module first" head={["Kernel", "Module", "States, oldest first", "Newest", "Run"].map((name) => <th key={name} scope="col">{name}</th>)}>
      {[...groups].map(([key, own]) => {
        const [newest] = own;
        if (newest === undefined) return null;
        const bad = own.find((row) => row.state !== "held" && row.because !== null);
        return (
          <tr key={key}>
            <td>{newest.kernel}</td>
            <td><code title={newest.module ?? ""}>{newest.module?.replace("sha256:", "").slice(0, 12) ?? "none told"}</code></td>
            <td class="text">
              <span class="strip" role="group" aria-label={`States on ${newest.kernel}`}>
                {own.slice(0, 40).reverse().map((row) => (
                  <a key={`${row.run}${row.target}`} href={withQuery(`/runs/${row.run}`, { target: row.target })} title={`${row.target}, ${row.run}: ${wordOf(row.state)}`} aria-label={`${row.target}, ${row.run}: ${wordOf(row.state)}`}>
                    <Mark state={row.state} />
                  </a>
                ))}
              </span>
              {bad?.because !== null && bad?.because !== undefined && <div class="because clip-2">{visible(bad.because)}</div>}
            </td>
            <td><Time at={newest.startedAt} /></td>
            <td><RunLink run={newest.run} /></td>
          </tr>
        );
      })}
    </Table>
  ); // prettier-ignore
}
