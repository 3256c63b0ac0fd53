import { sql } from "kysely";
import { matrix, matrixQuery, type MatrixFilter } from "../store/queries/matrix.ts";
import type { Database } from "../store/schema.ts";
import { fillDatabase } from "./bulk-database.ts";
import { median, timed, type Figure } from "./figures.ts";

const [RUNS, TARGETS, TESTS] = [500, 10, 1_000] as const;
const TURNS = 21;

/** The matrix of the latest runs among 5 million results, as its page asks for it, and what of that the server itself takes. */
export async function matrixFigures(db: Database): Promise<Figure[]> {
  await fillDatabase(db, { runs: RUNS, targets: TARGETS, tests: TESTS, details: false });
  const filters: readonly (readonly [string, MatrixFilter])[] = [["latest runs", {}], ["latest runs of the whole suite", { wholeOnly: true }]];
  const figures: Figure[] = [];
  for (const [name, filter] of filters) {
    const title = `matrix of the ${name} among ${(RUNS * TARGETS * TESTS).toLocaleString("en")} results`;
    const [took, inServer] = [[] as number[], [] as number[]];
    for (let turn = 0; turn < TURNS; turn++) {
      const started = performance.now();
      const { cells } = await matrix(db, filter);
      took.push(performance.now() - started);
      inServer.push(await explained(db, filter));
      if (turn === 0) checkCells(cells.length);
    }
    figures.push(
      timed(`${title}, first`, took[0] ?? 0, "ms"),
      timed(`${title}, median of ${TURNS - 1}`, median(took.slice(1)), "ms"),
      timed(`${title}, in the server by EXPLAIN ANALYZE, median of ${TURNS - 1}`, median(inServer.slice(1)), "ms"),
    );
  }
  return figures;
}

function checkCells(found: number): void {
  if (found !== TARGETS * 20) throw new RangeError(`the matrix has ${found} cells, expected ${TARGETS * 20}`);
}

interface Explained {
  readonly "QUERY PLAN": readonly { readonly "Execution Time": number; readonly "Planning Time": number }[];
}

async function explained(db: Database, filter: MatrixFilter): Promise<number> {
  const { rows } = await sql<Explained>`explain (analyze, format json) ${matrixQuery(filter)}`.execute(db);
  const plan = rows[0]?.["QUERY PLAN"][0];
  if (plan === undefined) throw new RangeError("the server explained nothing");
  return plan["Planning Time"] + plan["Execution Time"];
}
