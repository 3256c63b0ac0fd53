import type { JSX } from "preact";
import type { RunList, RunSummary } from "../../../schemas/runs.ts";
import { get, useLoad } from "../api.ts";
import { place, setQuery } from "../router.ts";
import { Empty, Page, RunLink, Show, Table, Target, Time } from "../ui/bits.tsx";
import { CountsBar, CountsList } from "../ui/counts.tsx";
import { Verdict } from "../ui/marks.tsx";
import { LiveLine } from "./live.tsx";
import type { Counts } from "../../../schemas/common.ts";
import { duration } from "../ui/text.ts";

const STEP = 50;

export function RunsPage(): JSX.Element {
  const { query } = place.value;
  const [verdict, text, offset] = [query.get("verdict") ?? "", query.get("text") ?? "", Number(query.get("offset") ?? 0)];
  const loaded = useLoad(`runs ${verdict} ${text} ${offset}`, (abort) => get<RunList>("/runs", { verdict, text, offset, limit: STEP }, abort));
  return (
    <Page title="Runs">
      <div class="filters">
        <label>
          <span class="sr">Filter by id or selection</span>
          <input type="search" placeholder="Id or selection" value={text} onInput={(event) => setQuery({ text: event.currentTarget.value, offset: null })} />
        </label>
        <label>
          Verdict{" "}
          <select value={verdict} onChange={(event) => setQuery({ verdict: event.currentTarget.value, offset: null })}>
            <option value="">any</option>
            <option value="conformant">conformant</option>
            <option value="violated">violated</option>
            <option value="undecided">undecided</option>
            <option value="none">none yet</option>
          </select>
        </label>
      </div>
      <Show of={loaded}>
        {({ rows, total }) =>
          total === 0 ? (
            <Empty title={text === "" && verdict === "" ? "No runs are kept yet" : "No run fits the filter"}>
              <code>./buslab run</code> makes one; <code>./buslab push</code> brings one from another host.
            </Empty>
          ) : (
            <>
              <Table caption="Runs, the newest first" className="runs" head={["Run", "Verdict", "Started", "Took", "Targets", "Tests"].map((name) => <th key={name} scope="col">{name}</th>)}>
                {rows.map((row) => (
                  <Row key={row.run} row={row} />
                ))}
              </Table>
              <Pager offset={offset} total={total} />
            </>
          )
        }
      </Show>
    </Page>
  );
}

function Row({ row }: { row: RunSummary }): JSX.Element {
  const counts = row.targets.flatMap((target) => (target.counts === null ? [] : [target.counts]));
  const total = counts.length === 0 ? null : counts.reduce(add);
  const took = row.startedAt !== null && row.endedAt !== null ? duration(Date.parse(row.endedAt) - Date.parse(row.startedAt)) : "";
  const [first, ...others] = row.targets;
  return (
    <tr>
      <td>
        <RunLink run={row.run} />
      </td>
      <td>
        <Verdict state={row.verdict ?? row.state} />
      </td>
      <td>
        <Time at={row.startedAt} />
      </td>
      <td class="num">{took}</td>
      <td>
        {first !== undefined && <Target id={first.target} />}
        {others.length > 0 && <span class="muted" title={others.map((target) => target.target).join("\n")}> and {others.length} more</span>}
        {row.selection !== null && <div class="muted clip about" title={row.selection}>{row.selection}</div>}
      </td>
      <td class="wide">{row.state === "running" ? <LiveLine run={row.run} /> : total !== null && <span class="counts-cell"><CountsBar counts={total} /><CountsList counts={total} /></span>}</td>
    </tr>
  ); // prettier-ignore
}

function add(a: Counts, b: Counts): Counts {
  return Object.fromEntries(Object.keys(a).map((key) => [key, a[key as keyof Counts] + b[key as keyof Counts]])) as Counts;
}

function Pager({ offset, total }: { offset: number; total: number }): JSX.Element {
  return (
    <div class="pager">
      <button type="button" disabled={offset === 0} onClick={() => setQuery({ offset: Math.max(0, offset - STEP) || null })}>
        Newer
      </button>
      <span class="muted">
        {(offset + 1).toLocaleString("en")} to {Math.min(offset + STEP, total).toLocaleString("en")} of {total.toLocaleString("en")}
      </span>
      <button type="button" disabled={offset + STEP >= total} onClick={() => setQuery({ offset: offset + STEP })}>
        Older
      </button>
    </div>
  );
}
