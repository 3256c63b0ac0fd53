import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Counts } from "../../../schemas/common.ts";
import type { TestList, TestRow } from "../../../schemas/runs.ts";
import { get, useLoad } from "../api.ts";
import { place } from "../router.ts";
import { Empty, Show, Table, testHref, TestTitle } from "../ui/bits.tsx";
import { OUTCOMES } from "../ui/counts.tsx";
import { FilterBar, filtersOf, hasText } from "../ui/filters.tsx";
import { Mark, wordOf } from "../ui/marks.tsx";
import { useRowsInSteps } from "../ui/rows.ts";
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
  const { area, text } = filtersOf();
  const allGood = counts !== null && counts.planned === counts.passed + counts.unsupported;
  const show = place.value.query.get("show") ?? (allGood ? "all" : "notable");
  const areas = useMemo(() => [...new Set(rows.map((row) => row.area))].sort(), [rows]);
  const inArea = rows.filter((row) => area === "" || row.area === area);
  const shown = inArea.filter((row) => fits(row, show) && hasText(text, row.test));
  const drawn = useRowsInSteps(shown);
  const choices = [
    { key: "notable", name: "Not good", count: inArea.filter((row) => fits(row, "notable")).length },
    ...OUTCOMES.map(([key]) => ({ key, name: <><Mark state={key} /> {wordOf(key)}</>, count: inArea.filter((row) => row.outcome === key).length })).filter(({ count }) => count > 0),
    { key: "all", name: "All", count: inArea.length },
  ];
  return (
    <>
      <h3>
        {plural(shown.length, "test")}
        {shown.length < rows.length && <span class="muted"> of {rows.length.toLocaleString("en")}</span>}
      </h3>
      <FilterBar chips={{ parameter: "show", label: "Outcomes", chosen: show, choices }} areas={areas} text={{ placeholder: "Title, id or file", label: "Filter by title" }} />
      {shown.length === 0 ? (
        <Empty title={show === "notable" ? "Every test here is good" : "No test fits the filters"} />
      ) : (
        <Table caption="Tests" className="tests" head={["Outcome", "Test", "Area", "Took"].map((name) => <th key={name} scope="col">{name}</th>)}>
          {drawn.map((row) => (
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
