import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RunDetail, RunRequirements, RunTargetDetail } from "../../../schemas/runs.ts";
import { get, useLoad, withQuery } from "../api.ts";
import { place } from "../router.ts";
import { Page, requirementHref, runHref, Show, Table, Target, Time } from "../ui/bits.tsx";
import { CountsBar, CountsList } from "../ui/counts.tsx";
import { Mark, Verdict } from "../ui/marks.tsx";
import { duration, plural, visible } from "../ui/text.ts";
import { LivePanel } from "./live.tsx";
import { RunTests } from "./run-tests.tsx";

export function RunPage({ run }: { run: string }): JSX.Element {
  const [turn, setTurn] = useState(0);
  const loaded = useLoad(`${run} ${turn}`, (abort) => get<RunDetail>(`/runs/${run}`, {}, abort));
  // The verdict is in the database a moment after the run's folder has it.
  const again = (): void => void setTimeout(() => setTurn((n) => n + 1), 2_500);
  return <Show of={loaded}>{(detail) => <Detail detail={detail} onEnd={again} />}</Show>;
}

function Detail({ detail, onEnd }: { detail: RunDetail; onEnd: () => void }): JSX.Element {
  const wanted = place.value.query.get("target");
  const chosen = detail.targets.find((target) => target.target === wanted) ?? worstFirst(detail.targets);
  return (
    <Page
      title={
        <>
          <Verdict state={detail.verdict ?? detail.state} big /> <span class="mono">{detail.run}</span>
        </>
      }
      aside={
        <div class="actions">
          <a class="button" href={withQuery("/compare", { b: detail.run })}>
            Compare
          </a>
          <a class="button" href={`/api/v1/runs/${detail.run}/verdict`} download={`${detail.run}.json`}>
            Verdict as JSON
          </a>
        </div>
      }
    >
      <Facts detail={detail} />
      {detail.reasons.length > 0 && detail.verdict !== "conformant" && (
        <details class="card" open={detail.reasons.length <= 6}>
          <summary>Why: {plural(detail.reasons.length, "reason")}</summary>
          <ul>{detail.reasons.map((reason) => <li key={reason}>{visible(reason)}</li>)}</ul>
        </details>
      )}
      {detail.state === "running" && <LivePanel run={detail.run} onEnd={onEnd} />}
      {detail.targets.length > 0 && <Targets detail={detail} chosen={chosen} />}
      {chosen !== null && detail.verdict !== null && (
        <>
          <TargetFacts target={chosen} />
          <Violated run={detail.run} target={chosen.target} />
          <RunTests run={detail.run} target={chosen.target} counts={chosen.counts} />
        </>
      )}
    </Page>
  ); // prettier-ignore
}

function worstFirst(targets: readonly RunTargetDetail[]): RunTargetDetail | null {
  return targets.find((target) => target.verdict === "violated") ?? targets.find((target) => target.verdict === "undecided") ?? targets[0] ?? null;
}

function Facts({ detail }: { detail: RunDetail }): JSX.Element {
  const took = detail.startedAt !== null && detail.endedAt !== null ? duration(Date.parse(detail.endedAt) - Date.parse(detail.startedAt)) : null;
  const { right, planned } = detail.canaries;
  const facts: readonly (readonly [string, JSX.Element | string] | null)[] = [
    ["Started", <Time at={detail.startedAt} />],
    took === null ? null : ["Took", took],
    detail.selection === null ? null : ["Selection", detail.selection],
    detail.exitCode === null ? null : ["Exit code", String(detail.exitCode)],
    planned === null ? null : ["Canaries", <><Mark state={right === planned ? "passed" : "failed"} /> {right} of {planned} called by their right names</>],
    ["Records", `${detail.records.read.toLocaleString("en")}${detail.records.torn > 0 ? `, ${detail.records.torn} torn` : ""}`],
    detail.catalogueDigest === null ? null : ["Catalogue", <code title={detail.catalogueDigest}>{detail.catalogueDigest.slice(7, 19)}</code>],
    detail.suiteDigest === null ? null : ["Suite", <code title={detail.suiteDigest}>{detail.suiteDigest.slice(7, 19)}</code>],
    detail.uploadedBy === null ? null : ["Brought by", detail.uploadedBy],
    detail.pinnedAt === null ? null : ["Pinned", detail.pinReason ?? "yes"],
    detail.prunedAt === null ? null : ["Evidence", <>removed by retention, <Time at={detail.prunedAt} /></>],
  ]; // prettier-ignore
  return (
    <dl class="facts">
      {facts.filter((fact) => fact !== null).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  ); // prettier-ignore
}

function Targets({ detail, chosen }: { detail: RunDetail; chosen: RunTargetDetail | null }): JSX.Element {
  const names = ["Target", "Verdict", "Tests", "Must held", "Violated", "Not judged", "Generation", "Took"];
  return (
    <>
      <h2>{plural(detail.targets.length, "target")}</h2>
      <Table caption="Targets of the run" className="targets" head={names.map((name) => <th key={name} scope="col">{name}</th>)}>
        {detail.targets.map((target) => (
          <tr key={target.target} class={target === chosen ? "chosen" : ""}>
            <td>
              <a href={runHref(detail.run, { target: target.target })} aria-current={target === chosen ? "true" : undefined}>
                <Target id={target.target} />
              </a>
            </td>
            <td>{target.verdict === null ? <span class="muted">not judged</span> : <Verdict state={target.verdict} />}</td>
            <td class="wide">{target.counts !== null && <span class="counts-cell"><CountsBar counts={target.counts} /><CountsList counts={target.counts} /></span>}</td>
            <td class="num">{target.requirements?.held ?? ""}</td>
            <td class="num">{target.requirements?.violated ?? ""}</td>
            <td class="num">{target.requirements?.unjudged ?? ""}</td>
            <td>{target.generation ?? ""}</td>
            <td class="num">{duration(target.durationsMs?.["total"] ?? null)}</td>
          </tr>
        ))}
      </Table>
    </>
  ); // prettier-ignore
}

function TargetFacts({ target }: { target: RunTargetDetail }): JSX.Element {
  return (
    <>
      <h2 class="target-title">
        <Target id={target.target} />
      </h2>
      {target.error !== null && (
        <div class="notice bad">
          <strong>{target.error.code}</strong>
          <p>{visible(target.error.message)}</p>
          {target.error.details !== "" && <pre class="console" tabIndex={0}>{visible(target.error.details)}</pre>}
        </div>
      )}
      <dl class="facts">
        {target.accel !== null && <div><dt>Accelerator</dt><dd class="clip" title={target.accelWhy ?? ""}>{target.accel}<span class="muted"> {target.accelWhy}</span></dd></div>}
        {target.artifacts.map((artifact) => (
          <div key={artifact.name}>
            <dt>{artifact.name}</dt>
            <dd title={`${artifact.key}\n${artifact.because}`}>{artifact.state} <code class="muted">{artifact.key.replace("sha256:", "").slice(0, 12)}</code></dd>
          </div>
        ))}
      </dl>
    </>
  ); // prettier-ignore
}

function Violated({ run, target }: { run: string; target: string }): JSX.Element {
  const loaded = useLoad(`${run} ${target} violated`, (abort) => get<RunRequirements>(`/runs/${run}/requirements`, { target, state: "violated" }, abort));
  return (
    <Show of={loaded}>
      {({ rows, total }) =>
        total === 0 ? null : (
          <section aria-label="Violated requirements">
            <h3>{plural(total, "violated requirement")}</h3>
            <ul class="violated">
              {rows.map((row) => (
                <li key={row.requirement}>
                  <Mark state="violated" />
                  <a class="req-id" href={requirementHref(row.requirement)}>{row.requirement}</a>
                  <span class="level">{row.level}</span>
                  <span>{row.text ?? visible(row.because ?? "")}</span>
                </li>
              ))}
            </ul>
          </section>
        )
      }
    </Show>
  ); // prettier-ignore
}

