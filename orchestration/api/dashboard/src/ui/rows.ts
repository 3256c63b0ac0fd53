import { useEffect, useState } from "preact/hooks";

/** As many as fill a tall screen: what the first picture of a table has. */
const FIRST = 40;
const STEP = 240;

/** The rows of a long table that may be drawn by now: the first at once, the others in steps behind the first picture, with time for keys in between. */
export function useRowsInSteps<T>(rows: readonly T[]): readonly T[] {
  const [count, setCount] = useState(FIRST);
  const more = count < rows.length;
  useEffect(() => {
    if (!more) return undefined;
    const next = setTimeout(() => setCount(count + STEP));
    return () => clearTimeout(next);
  }, [count, more]);
  return more ? rows.slice(0, count) : rows;
}
