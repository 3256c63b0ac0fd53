import { createRoute } from "@hono/zod-openapi";
import { isRequirementId, requirement } from "../../../conformance/catalogue/index.ts";
import { SuiteError } from "../../base/errors.ts";
import { verdictSchema } from "../../record/verdict.ts";
import { evidenceOfTest, listRuns, resolveRun, runOverview, runRequirements, runTests, testDetail, testHistory, verdictOfRun } from "../../store/index.ts";
import type { Api, Centre } from "../centre.ts";
import { json, pagingQuery, runNameSchema, textQuery, z } from "../schemas/common.ts";
import { runDetailSchema, runListSchema, runRequirementsSchema, testDetailSchema, testHistorySchema, testListSchema, type RunState } from "../schemas/runs.ts";
import { uploaderOf } from "../uploads/uploads.ts";
import { guarded } from "./routes.ts";

const runPath = z.object({ run: runNameSchema });

export function runRoutes(api: Api, centre: Centre): void {
  const { db } = centre;

  api.openapi(
    createRoute({
      method: "get",
      path: "/runs",
      summary: "Runs, the newest first",
      request: { query: z.object({ ...pagingQuery, verdict: z.enum(["conformant", "violated", "undecided", "none"]).optional(), target: textQuery.optional(), text: textQuery.optional() }) },
      ...guarded("read", "runs", { 200: json(runListSchema, "A page of runs") }),
    }),
    async (c) => {
      const { total, rows } = await listRuns(db, defined(c.req.valid("query")));
      return c.json({ total, rows: await Promise.all(rows.map(async (row) => ({ ...row, state: await stateOf(centre, row) }))) }, 200);
    },
  );

  api.openapi(
    createRoute({ method: "get", path: "/runs/{run}", summary: "One run", request: { params: runPath }, ...guarded("read", "runs", { 200: json(runDetailSchema, "Everything but its tests") }) }),
    async (c) => {
      const run = await resolveRun(db, c.req.valid("param").run);
      const { pruned: _pruned, targets, ...row } = await runOverview(db, { run });
      const errors = targets.map((target) => ({ ...target, error: target.error as { code: string; blame: string; message: string; details: string } | null }));
      return c.json({ ...row, targets: errors, state: await stateOf(centre, row), uploadedBy: await uploaderOf(centre.live.folder(run)) }, 200);
    },
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/runs/{run}/verdict",
      summary: "The verdict as it was stored",
      request: { params: runPath },
      ...guarded("read", "runs", { 200: json(verdictSchema, "The document that `run --json` ends with") }),
    }),
    async (c) => c.json(await verdictOfRun(db, await resolveRun(db, c.req.valid("param").run)), 200),
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/runs/{run}/tests",
      summary: "Tests of a run with their outcomes",
      request: {
        params: runPath,
        query: z.object({
          ...pagingQuery,
          target: textQuery.optional(),
          area: textQuery.optional(),
          text: textQuery.optional().openapi({ description: "Anywhere in the name" }),
          outcome: textQuery.optional().openapi({ description: "One outcome; `bad`: failed, crashed or timed out; `blank`: infra-error or not-run" }),
        }),
      },
      ...guarded("read", "runs", { 200: json(testListSchema, "A page of tests, by target and name") }),
    }),
    async (c) => c.json(await runTests(db, { ...defined(c.req.valid("query")), run: await resolveRun(db, c.req.valid("param").run) }), 200),
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/runs/{run}/requirements",
      summary: "Requirements of a run with their states",
      request: { params: runPath, query: z.object({ ...pagingQuery, target: textQuery.optional(), state: textQuery.optional() }) },
      ...guarded("read", "runs", { 200: json(runRequirementsSchema, "A page of requirements, by target and id") }),
    }),
    async (c) => c.json(await runRequirements(db, { ...defined(c.req.valid("query")), run: await resolveRun(db, c.req.valid("param").run) }), 200),
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/runs/{run}/test",
      summary: "One test with its evidence",
      description: "Names of tests hold slashes and colons, so they are given in the query.",
      request: { params: runPath, query: z.object({ target: textQuery, test: z.string().max(2_000) }) },
      ...guarded("read", "runs", { 200: json(testDetailSchema, "Attempts, kernel events, files kept") }),
    }),
    async (c) => {
      const { target, test } = c.req.valid("query");
      const run = await resolveRun(db, c.req.valid("param").run);
      const found = await testDetail(db, { run, target, test });
      if (found === null) throw new SuiteError("NOTHING_THERE", `run ${run} has no result of "${test.slice(0, 200)}" on ${target}`);
      const texts = found.requirements.filter(isRequirementId).map((id) => requirement(id)).map(({ id, level, text }) => ({ id, level, text }));
      return c.json({ ...found, texts, evidence: await evidenceOfTest(db, { run, target, test }) }, 200);
    },
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/tests/history",
      summary: "What became of one test in all runs",
      request: { query: z.object({ ...pagingQuery, test: z.string().max(2_000), target: textQuery.optional() }) },
      ...guarded("read", "runs", { 200: json(testHistorySchema, "Results, the newest first") }),
    }),
    async (c) => c.json(await testHistory(db, defined(c.req.valid("query"))), 200),
  );
}

/** Told by what is stored; whether one without an end still goes on, only its folder knows. */
async function stateOf(centre: Centre, row: { readonly run: string; readonly verdict: string | null; readonly ended: string | null }): Promise<RunState> {
  if (row.verdict !== null) return "judged";
  if (row.ended !== null) return "unjudged";
  return (await centre.live.isFresh(row.run)) ? "running" : "abandoned";
}

/** Leaves out keys that are not given: the store tells a missing filter from an empty one. */
export function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
