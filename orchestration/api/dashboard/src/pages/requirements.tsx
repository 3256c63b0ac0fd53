import type { JSX } from "preact";
import type { RequirementList } from "../../../schemas/views.ts";
import { get, useLoad } from "../api.ts";
import { place } from "../router.ts";
import { Empty, Page, requirementHref, Show, Table } from "../ui/bits.tsx";
import { FilterBar, filtersOf, hasText } from "../ui/filters.tsx";
import { Mark, wordOf } from "../ui/marks.tsx";
import { useRowsInSteps } from "../ui/rows.ts";
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
  const { area, text } = filtersOf();
  const state = place.value.query.get("state") ?? "";
  const inArea = all.filter((entry) => area === "" || entry.area === area);
  const shown = inArea.filter((entry) => (state === "" || worst(entry) === state) && hasText(text, `${entry.id} ${entry.text}`));
  const drawn = useRowsInSteps(shown);
  const choices = [
    { key: "", name: "All", count: inArea.length },
    ...WORST.map((each) => ({ key: each, name: <><Mark state={each} /> {wordOf(each)}</>, count: inArea.filter((entry) => worst(entry) === each).length })),
  ];
  return (
    <>
      <FilterBar chips={{ parameter: "state", label: "States", chosen: state, choices }} areas={[...new Set(all.map((entry) => entry.area))]} text={{ placeholder: "Id or text", label: "Filter by id or text" }} />
      {shown.length === 0 ? <Empty title="No requirement fits the filters" /> : (
        <Table caption={plural(shown.length, "requirement")} className="tests" head={["State", "Requirement", "Level", "Targets"].map((name) => <th key={name} scope="col">{name}</th>)}>
          {drawn.map((entry) => (
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
