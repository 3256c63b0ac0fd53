import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { FigureList, FigureNames } from "../../../schemas/views.ts";
import { get, useLoad } from "../api.ts";
import { place, setQuery } from "../router.ts";
import { theme } from "../theme.ts";
import { Empty, Page, Show, Target, Time } from "../ui/bits.tsx";
import { Mark } from "../ui/marks.tsx";
import { noiseBands } from "./noise.ts";

type Figure = FigureList["rows"][number];

export function BenchmarksPage(): JSX.Element {
  const names = useLoad("figure names", (abort) => get<FigureNames>("/figures/names", {}, abort));
  return (
    <Page title="Benchmarks">
      <p class="lead">Figures of <code>./buslab bench</code> over time. The band is what noise alone explains, by the twelve measurements before; a point outside of it is marked.</p>
      <Show of={names}>{(all) => (all.names.length === 0 ? <Empty title="No figures are kept yet"><code>./buslab bench</code> measures them.</Empty> : <Chosen names={all.names} />)}</Show>
    </Page>
  ); // prettier-ignore
}

function Chosen({ names }: { names: FigureNames["names"] }): JSX.Element {
  const targets = [...new Set(names.map((each) => each.target))];
  const target = place.value.query.get("target") ?? targets[0] ?? "";
  const own = names.filter((each) => each.target === target);
  return (
    <>
      {targets.length > 1 && (
        <div class="filters">
          <label>
            Target{" "}
            <select value={target} onChange={(event) => setQuery({ target: event.currentTarget.value })}>
              {targets.map((each) => <option key={each} value={each}>{each}</option>)}
            </select>
          </label>
        </div>
      )}
      <h2><Target id={target} /></h2>
      <div class="charts">{own.map((each) => <Chart key={each.name} name={each.name} target={target} />)}</div>
    </>
  ); // prettier-ignore
}

function Chart({ name, target }: { name: string; target: string }): JSX.Element {
  const loaded = useLoad(`${name} ${target}`, (abort) => get<FigureList>("/figures", { name, target, limit: 300 }, abort));
  return (
    <section class="card chart" aria-label={name}>
      <h3>{name}</h3>
      <Show of={loaded}>{({ rows }) => <Drawn rows={rows} />}</Show>
    </section>
  );
}

function Drawn({ rows }: { rows: readonly Figure[] }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState(false);
  const bands = noiseBands(rows.map((row) => row.value));
  const [newest, band] = [rows.at(-1), bands.at(-1)];
  const outside = newest !== undefined && band?.low !== null && band !== undefined && (newest.value < (band.low ?? 0) || newest.value > (band.high ?? 0));
  useEffect(() => {
    let gone = false;
    let remove = (): void => undefined;
    void import("./plot.ts").then(({ draw }) => {
      if (gone || box.current === null) return;
      remove = draw(box.current, rows, bands);
      setDrawn(true);
    });
    return () => {
      gone = true;
      remove();
    };
  }, [rows, theme.value]);
  if (newest === undefined) return <Empty title="No measurement" />;
  return (
    <>
      <p>
        <strong class="num">{number(newest.value)}</strong> {newest.unit}
        {newest.ratio !== null && <span class="muted">, {number(newest.ratio)} times {newest.against ?? "its counterpart"}</span>}
        <span class="muted">, <Time at={newest.measuredAt} />{newest.exact ? ", counted exactly" : ""}</span>
      </p>
      <p class="muted">
        {band === undefined || band.low === null ? "Too few measurements to tell noise" : <><Mark state={outside ? "infra-error" : "passed"} /> {outside ? "outside" : "inside"} of {number(band.low)} to {number(band.high ?? 0)}</>}
      </p>
      <div ref={box} class="plot" role="img" aria-busy={!drawn} aria-label={`${rows.length} measurements from ${number(Math.min(...rows.map((row) => row.value)))} to ${number(Math.max(...rows.map((row) => row.value)))} ${newest.unit}`} />
    </>
  ); // prettier-ignore
}

function number(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
