import type { JSX } from "preact";
import type { Matrix } from "../../../schemas/views.ts";
import { get, useLoad, withQuery } from "../api.ts";
import { place, setQuery } from "../router.ts";
import { Empty, Page, RunLink, runHref, Show, Target } from "../ui/bits.tsx";
import { sayCounts, worstOf } from "../ui/counts.tsx";
import { Mark, Verdict } from "../ui/marks.tsx";

/** Where every target stands, area by area. */
export function MatrixPage(): JSX.Element {
  const whole = place.value.query.get("runs") !== "any";
  const loaded = useLoad(`matrix ${whole}`, (abort) => get<Matrix>("/matrix", { whole }, abort));
  return (
    <Page
      title="Matrix"
      aside={
        <div class="switch" role="group" aria-label="Runs shown">
          <button type="button" aria-pressed={whole} onClick={() => setQuery({ runs: null })}>
            Whole suite
          </button>
          <button type="button" aria-pressed={!whole} onClick={() => setQuery({ runs: "any" })}>
            Any newest run
          </button>
        </div>
      }
    >
      <p class="lead">Of each target the newest judged run{whole ? " of the whole suite" : ""}. A cell shows the worst outcome of its area and how many tests have it; it leads to them.</p>
      <Show of={loaded}>{(matrix) => (matrix.targets.length === 0 ? <NoRuns whole={whole} /> : <Grid matrix={matrix} />)}</Show>
    </Page>
  );
}

function NoRuns({ whole }: { whole: boolean }): JSX.Element {
  return (
    <Empty title={whole ? "No run of the whole suite is judged yet" : "No run is judged yet"}>
      <code>./buslab run</code> makes one; it appears here by itself. Runs of other hosts come by <code>./buslab push</code>.
    </Empty>
  );
}

function Grid({ matrix }: { matrix: Matrix }): JSX.Element {
  const cells = new Map(matrix.cells.map((cell) => [`${cell.target}\0${cell.area}`, cell]));
  return (
    <>
      <div class="table-wrap" tabIndex={0} role="region" aria-label="Targets by areas">
        <table class="matrix">
          <caption class="sr">Targets by areas</caption>
          <thead>
            <tr>
              <th scope="col">Target</th>
              <th scope="col">Verdict</th>
              {matrix.areas.map((area) => (
                <th key={area} scope="col" class="area">
                  <a href={withQuery("/requirements", { area })}>{area}</a>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {matrix.targets.map(({ target, run, verdict }) => (
              <tr key={target}>
                <th scope="row">
                  <a href={runHref(run, { target })}>
                    <Target id={target} />
                  </a>
                  <div class="of-run">
                    <RunLink run={run} />
                  </div>
                </th>
                <td>{verdict === null ? "" : <Verdict state={verdict} />}</td>
                {matrix.areas.map((area) => {
                  const cell = cells.get(`${target}\0${area}`);
                  if (cell === undefined) return <td key={area} class="cell none"><span class="sr">no tests</span></td>; // prettier-ignore
                  const { state, count, tone } = worstOf(cell);
                  return (
                    <td key={area} class="cell">
                      <a class={`tone-${tone}`} href={runHref(run, { target, area, show: state === "passed" ? "all" : null })} title={`${area}: ${sayCounts(cell)}`} aria-label={`${area} on ${target}: ${sayCounts(cell)}`}>
                        <Mark state={state} />
                        <span class="num">{count}</span>
                      </a>
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul class="legend" aria-label="Signs">
        {["passed", "failed", "crashed", "infra-error", "not-run", "unsupported"].map((state) => (
          <li key={state}>
            <Mark state={state} word />
          </li>
        ))}
      </ul>
    </>
  );
}
