import type { JSX } from "preact";
import type { WaiverList } from "../../../schemas/views.ts";
import { get, useLoad } from "../api.ts";
import { Empty, Page, requirementHref, RunLink, Show, Table } from "../ui/bits.tsx";
import { Mark } from "../ui/marks.tsx";
import { plural } from "../ui/text.ts";

export function WaiversPage(): JSX.Element {
  const loaded = useLoad("waivers", (abort) => get<WaiverList>("/waivers", {}, abort));
  return (
    <Page title="Waivers">
      <p class="lead">Violations that somebody answers for, until a last day. After it they count again.</p>
      <Show of={loaded}>
        {({ waivers }) =>
          waivers.length === 0 ? (
            <Empty title="Nothing is waived" />
          ) : (
            <Table caption="Waivers, those that end first come first" head={["Requirement", "Days left", "Last day", "Target", "Owner", "Reason", "Used in", "Last used"].map((name) => <th key={name} scope="col">{name}</th>)}>
              {waivers.map((waiver) => (
                <tr key={waiver.text} class={waiver.present ? "" : "gone"}>
                  <td>
                    <a class="req-id" href={requirementHref(waiver.requirement)}>
                      {waiver.requirement}
                    </a>
                  </td>
                  <td>
                    <span class={waiver.daysLeft < 0 ? "tone-bad" : waiver.daysLeft <= 14 ? "tone-blank" : ""}>
                      {waiver.daysLeft < 0 ? <><Mark state="violated" /> expired {plural(-waiver.daysLeft, "day")} ago</> : waiver.daysLeft === 0 ? "last day" : plural(waiver.daysLeft, "day")}
                    </span>
                    {!waiver.present && <span class="muted"> (no longer in the file)</span>}
                  </td>
                  <td class="num">{waiver.lastDay}</td>
                  <td><code>{waiver.target}</code></td>
                  <td>{waiver.owner}</td>
                  <td class="text">{waiver.reason}</td>
                  <td class="num">{plural(waiver.usedInRuns, "run")}</td>
                  <td>{waiver.lastUsedRun === null ? <span class="muted">never</span> : <RunLink run={waiver.lastUsedRun} />}</td>
                </tr>
              ))}
            </Table>
          )
        }
      </Show>
    </Page>
  ); // prettier-ignore
}
