import type { JSX } from "preact";
import type { RequirementList } from "../../../schemas/views.ts";
import { get, useLoad } from "../api.ts";
import { place, setQuery } from "../router.ts";
import { Empty, Page, requirementHref, Show, Table } from "../ui/bits.tsx";
import { Mark, wordOf } from "../ui/marks.tsx";
import { plural } from "../ui/text.ts";

type Entry = RequirementList["requirements"][number];
const WORST = ["violated", "waived", "unjudged", "held"] as const;

export function RequirementsPage(): JSX.Element {
  const loaded = useLoad("requirements", (abort) => get<RequirementList>("/requirements", { whole: true }, abort));
  return (
    <Page title="Requirements">
      <p class="lead">What a conforming bus must hold, and how it stands in the runs that the matrix shows.</p>
      <Show of={loaded}>{({ requirements }) => <Filtered all={requirements} />}</Show>
    </Page>
  );
}

function worst(entry: Entry): string {
  return WORST.find((state) => entry.states.some((each) => each.state === state)) ?? "unjudged";
}

function Filtered({ all }: { all: readonly Entry[] }): JSX.Element {
  const { query } = place.value;
  const [area, state, text] = [query.get("area") ?? "", query.get("state") ?? "", query.get("text") ?? ""];
  const areas = [...new Set(all.map((entry) => entry.area))];
  const shown = all.filter((entry) => (area === "" || entry.area === area) && (state === "" || worst(entry) === state) && (text === "" || `${entry.id} ${entry.text}`.toLowerCase().includes(text.toLowerCase())));
  return (
    <>
      <div class="filters">
        <div class="chips" role="group" aria-label="States">
          {["", ...WORST].map((each) => (
            <button key={each} type="button" aria-pressed={state === each} onClick={() => setQuery({ state: each })}>
              {each === "" ? "All" : <><Mark state={each} /> {wordOf(each)}</>} <span class="num">{all.filter((entry) => (area === "" || entry.area === area) && (each === "" || worst(entry) === each)).length}</span>
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
          <span class="sr">Filter by id or text</span>
          <input type="search" placeholder="Id or text" value={text} onInput={(event) => setQuery({ text: event.currentTarget.value })} />
        </label>
      </div>
      {shown.length === 0 ? <Empty title="No requirement fits the filters" /> : (
        <Table caption={plural(shown.length, "requirement")} className="tests" head={["State", "Requirement", "Level", "Targets"].map((name) => <th key={name} scope="col">{name}</th>)}>
          {shown.map((entry) => (
            <tr key={entry.id}>
              <td class="outcome"><Mark state={worst(entry)} word /></td>
              <td class="text"><a class="row-link" href={requirementHref(entry.id)}><span class="req-id">{entry.id}</span> {entry.text}</a></td>
              <td>{entry.level}</td>
              <td class="marks">{entry.states.map((each) => <span key={each.target} title={each.target}><Mark state={each.state} /></span>)}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  ); // prettier-ignore
}
