import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Counts } from "../../../schemas/common.ts";
import type { TestList, TestRow } from "../../../schemas/runs.ts";
import { get, useLoad } from "../api.ts";
import { place, setQuery } from "../router.ts";
import { Empty, Show, Table, testHref, TestTitle } from "../ui/bits.tsx";
import { OUTCOMES } from "../ui/counts.tsx";
import { Mark, wordOf } from "../ui/marks.tsx";
import { duration, plural, visible } from "../ui/text.ts";

const PAGE = 1_000;

/** All pages of a target's tests: filters then answer at once. */
async function allTests(run: string, target: string, abort: AbortSignal): Promise<TestRow[]> {
  const rows: TestRow[] = [];
  for (;;) {
    const page = await get<TestList>(`/runs/${run}/tests`, { target, limit: PAGE, offset: rows.length }, abort);
    rows.push(...page.rows);
    if (rows.length >= page.total || page.rows.length === 0) return rows;
  }
}

/** Tests of one target. What is not simply good comes first: that is what a reader came for. */
export function RunTests({ run, target, counts }: { run: string; target: string; counts: Counts | null }): JSX.Element {
  const loaded = useLoad(`${run} ${target} tests`, (abort) => allTests(run, target, abort));
  return (
    <section>
      <Show of={loaded}>{(rows) => <Filtered run={run} rows={rows} counts={counts} />}</Show>
    </section>
  );
}

function Filtered({ run, rows, counts }: { run: string; rows: readonly TestRow[]; counts: Counts | null }): JSX.Element {
  const { query } = place.value;
  const [area, text] = [query.get("area") ?? "", query.get("text") ?? ""];
  const allGood = counts !== null && counts.planned === counts.passed + counts.unsupported;
  const show = query.get("show") ?? (allGood ? "all" : "notable");
  const areas = useMemo(() => [...new Set(rows.map((row) => row.area))].sort(), [rows]);
  const inArea = rows.filter((row) => area === "" || row.area === area);
  const shown = inArea.filter((row) => fits(row, show) && (text === "" || row.test.toLowerCase().includes(text.toLowerCase())));
  const chips: readonly (readonly [string, string, number])[] = [
    ["notable", "Not good", inArea.filter((row) => fits(row, "notable")).length],
    ...OUTCOMES.map(([outcome]) => [outcome, wordOf(outcome), inArea.filter((row) => row.outcome === outcome).length] as const).filter(([, , n]) => n > 0),
    ["all", "All", inArea.length],
  ];
  return (
    <>
      <h3>
        {plural(shown.length, "test")}
        {shown.length < rows.length && <span class="muted"> of {rows.length.toLocaleString("en")}</span>}
      </h3>
      <div class="filters">
        <div class="chips" role="group" aria-label="Outcomes">
          {chips.map(([key, name, n]) => (
            <button key={key} type="button" aria-pressed={show === key} onClick={() => setQuery({ show: key })}>
              {key !== "all" && key !== "notable" && <Mark state={key} />} {name} <span class="num">{n.toLocaleString("en")}</span>
            </button>
          ))}
        </div>
        <label>
          Area{" "}
          <select value={area} onChange={(event) => setQuery({ area: event.currentTarget.value })}>
            <option value="">all</option>
            {areas.map((each) => <option key={each} value={each}>{each}</option>)}
          </select>
        </label>
        <label>
          <span class="sr">Filter by title</span>
          <input type="search" placeholder="Title, id or file" value={text} onInput={(event) => setQuery({ text: event.currentTarget.value })} />
        </label>
      </div>
      {shown.length === 0 ? (
        <Empty title={show === "notable" ? "Every test here is good" : "No test fits the filters"} />
      ) : (
        <Table caption="Tests" className="tests" head={["Outcome", "Test", "Area", "Took"].map((name) => <th key={name} scope="col">{name}</th>)}>
          {shown.map((row) => (
            <tr key={row.test}>
              <td class="outcome">
                <Mark state={row.outcome} word />
                {row.waived && <span class="tag">waived</span>}
              </td>
              <td class="text">
                <a class="row-link" href={testHref(run, row.target, row.test)}>
                  <TestTitle test={row.test} />
                </a>
                {row.outcome !== "passed" && row.message !== null && <div class="because clip-2">{visible(row.message)}</div>}
              </td>
              <td>{row.area}</td>
              <td class="num">{duration(row.durationMs)}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  ); // prettier-ignore
}

function fits(row: TestRow, show: string): boolean {
  if (show === "all") return true;
  if (show === "notable") return row.outcome !== "passed" && row.outcome !== "unsupported";
  return row.outcome === show;
}
