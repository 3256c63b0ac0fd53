import type { ComponentChildren, JSX } from "preact";
import { place, setQuery } from "../router.ts";

export interface Choice {
  readonly key: string;
  readonly name: ComponentChildren;
  readonly count: number;
}

export interface FilterBarProps {
  /** Parameter of the address that the chips set, and what it is now. */
  readonly chips: { readonly parameter: string; readonly label: string; readonly chosen: string; readonly choices: readonly Choice[] };
  readonly areas: readonly string[];
  /** What the text is looked for in, for those who see the field and for those who hear it. */
  readonly text: { readonly placeholder: string; readonly label: string };
}

/** What the address says of area and text; empty where it says nothing. */
export function filtersOf(): { readonly area: string; readonly text: string } {
  const { query } = place.value;
  return { area: query.get("area") ?? "", text: query.get("text") ?? "" };
}

export function hasText(text: string, within: string): boolean {
  return text === "" || within.toLowerCase().includes(text.toLowerCase());
}

/** Chips, area and text above a list. The address is the one place where they are kept, so a filtered list can be sent to someone. */
export function FilterBar({ chips, areas, text }: FilterBarProps): JSX.Element {
  const now = filtersOf();
  return (
    <div class="filters">
      <div class="chips" role="group" aria-label={chips.label}>
        {chips.choices.map(({ key, name, count }) => (
          <button key={key} type="button" aria-pressed={chips.chosen === key} onClick={() => setQuery({ [chips.parameter]: key })}>
            {name} <span class="num">{count.toLocaleString("en")}</span>
          </button>
        ))}
      </div>
      <label>
        Area{" "}
        <select value={now.area} onChange={(event) => setQuery({ area: event.currentTarget.value })}>
          <option value="">all</option>
          {areas.map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </label>
      <label>
        <span class="sr">{text.label}</span>
        <input type="search" placeholder={text.placeholder} value={now.text} onInput={(event) => setQuery({ text: event.currentTarget.value })} />
      </label>
    </div>
  ); // prettier-ignore
}
