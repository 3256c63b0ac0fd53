import type { JSX } from "preact";
import type { RunList } from "../../../schemas/runs.ts";
import type { Comparison, Difference } from "../../../schemas/views.ts";
import { get, useLoad } from "../api.ts";
import { place, setQuery } from "../router.ts";
import { Empty, Page, requirementHref, RunLink, Show, Table, Target, testHref, TestTitle, Time } from "../ui/bits.tsx";
import { Mark, Verdict } from "../ui/marks.tsx";
import { plural, visible } from "../ui/text.ts";

const MOST = 300;
const BINS = [
  ["broke", "Broke", "bad in the second run and not in the first"],
  ["notRun", "Not run", "the second run learnt nothing of them, the first did"],
  ["mended", "Mended", "bad in the first, good in the second"],
  ["appeared", "New", "only the second run has them"],
  ["vanished", "Gone", "only the first run has them"],
  ["changed", "Otherwise changed", "for example failed before and crashed now"],
] as const;

export function ComparePage(): JSX.Element {
  const { query } = place.value;
  const [a, b] = [query.get("a") ?? "previous", query.get("b") ?? "latest"];
  const runs = useLoad("runs for compare", (abort) => get<RunList>("/runs", { limit: 100 }, abort));
  const judged = runs.state === "ready" ? runs.value.rows.filter((row) => row.verdict !== null) : [];
  const [first, second] = [idOf(a, judged, b), idOf(b, judged, "")];
  return (
    <Page title="Compare">
      <div class="filters">
        <Picker label="From" value={first} runs={judged} onPick={(run) => setQuery({ a: run })} />
        <Picker label="to" value={second} runs={judged} onPick={(run) => setQuery({ b: run })} />
      </div>
      <Show of={runs}>
        {() => (first === "" || second === "" ? <Empty title="Two judged runs are needed">There {judged.length === 1 ? "is one" : "are none"} so far.</Empty> : <Differences key={`${first} ${second}`} a={first} b={second} />)}
      </Show>
    </Page>
  );
}

/** `latest` is the newest judged run, `previous` the one before the other run of the pair. */
function idOf(name: string, judged: RunList["rows"], other: string): string {
  if (name === "latest") return judged[0]?.run ?? "";
  if (name !== "previous") return name;
  const at = judged.findIndex((row) => row.run === other);
  return judged[Math.max(at, 0) + 1]?.run ?? "";
}

function Picker({ label, value, runs, onPick }: { label: string; value: string; runs: RunList["rows"]; onPick: (run: string) => void }): JSX.Element {
  return (
    <label>
      {label}{" "}
      <select value={value} onChange={(event) => onPick(event.currentTarget.value)}>
        {!runs.some((row) => row.run === value) && <option value={value}>{value}</option>}
        {runs.map((row) => (
          <option key={row.run} value={row.run}>
            {row.run} {row.verdict}
          </option>
        ))}
      </select>
    </label>
  );
}

function Differences({ a, b }: { a: string; b: string }): JSX.Element {
  const loaded = useLoad(`compare ${a} ${b}`, (abort) => get<Comparison>("/compare", { a, b }, abort));
  return (
    <Show of={loaded}>
      {(comparison) => (
        <>
          <div class="pair">
            {[comparison.a, comparison.b].map((side) => (
              <div key={side.run} class="card">
                <RunLink run={side.run} /> {side.verdict !== null && <Verdict state={side.verdict} />}
                <div class="muted"><Time at={side.startedAt} />, {side.selection}</div>
              </div>
            ))}
          </div>
          <p class="muted">
            {plural(comparison.same, "result is", "results are")} as before{comparison.stillBad > 0 ? `, ${comparison.stillBad.toLocaleString("en")} of them still bad` : ""}.
          </p>
          {BINS.every(([key]) => comparison[key].length === 0) && <Empty title="Nothing changed" />}
          {BINS.map(([key, name, meaning]) => (comparison[key].length === 0 ? null : <Bin key={key} name={name} meaning={meaning} rows={comparison[key]} a={a} b={b} />))}
        </>
      )}
    </Show>
  ); // prettier-ignore
}

function Bin({ name, meaning, rows, a, b }: { name: string; meaning: string; rows: readonly Difference[]; a: string; b: string }): JSX.Element {
  return (
    <section>
      <h2>
        {name} <span class="num">{rows.length.toLocaleString("en")}</span> <small class="muted">{meaning}</small>
      </h2>
      <Table caption={name} className="tests" head={["Before", "After", "What", "Target"].map((each) => <th key={each} scope="col">{each}</th>)}>
        {rows.slice(0, MOST).map((row) => (
          <tr key={`${row.kind}${row.target}${row.id}`}>
            <td class="outcome">{row.before === null ? <span class="muted">absent</span> : <Mark state={row.before} word />}</td>
            <td class="outcome">{row.after === null ? <span class="muted">absent</span> : <Mark state={row.after} word />}{row.waived && <span class="tag">waived</span>}</td>
            <td class="text">
              {row.kind === "requirement" ? <a class="row-link req-id" href={requirementHref(row.id)}>{row.id}</a> : <a class="row-link" href={testHref(row.after === null ? a : b, row.target, row.id)}><TestTitle test={row.id} /></a>}
              {row.message !== null && row.message !== "passed" && <div class="because clip-2">{visible(row.message)}</div>}
            </td>
            <td><Target id={row.target} /></td>
          </tr>
        ))}
      </Table>
      {rows.length > MOST && <p class="muted">The first {MOST} are shown; <code>./buslab compare</code> has them all.</p>}
    </section>
  ); // prettier-ignore
}
