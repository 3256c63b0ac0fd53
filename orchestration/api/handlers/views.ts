import { createRoute } from "@hono/zod-openapi";
import { areaOf, isRequirementId, REQUIREMENTS, requirement } from "../../../conformance/catalogue/index.ts";
import { SuiteError } from "../../base/errors.ts";
import { compareRuns, crashes, crashEvents, figureNames, figuresOverTime, matrix, requirementHistory, resolveRun, runRequirements, testHistory, waivers, type Matrix } from "../../store/index.ts";
import type { Api, Centre } from "../centre.ts";
import { json, pagingQuery, runNameSchema, textQuery, z } from "../schemas/common.ts";
import { comparisonSchema, crashEventsSchema, crashListSchema, figureListSchema, figureNamesSchema, matrixSchema, requirementDetailSchema, requirementListSchema, waiverListSchema } from "../schemas/views.ts";
import { guarded } from "./routes.ts";
import { defined } from "./runs.ts";

const wholeQuery = z
  .enum(["true", "false"])
  .optional()
  .openapi({ description: "true: of each target the newest run of the whole suite; else the newest run" });

/** Views over many runs. Everything shown was judged before; nothing is judged here. */
export function viewRoutes(api: Api, centre: Centre): void {
  const { db } = centre;

  api.openapi(
    createRoute({
      method: "get",
      path: "/matrix",
      summary: "Targets by areas",
      request: { query: z.object({ run: runNameSchema.optional(), whole: wholeQuery }) },
      ...guarded("read", "views", { 200: json(matrixSchema, "Counts of one run, or of the newest judged run of each target") }),
    }),
    async (c) => {
      const { run, whole } = c.req.valid("query");
      return c.json(await matrix(db, run === undefined ? { wholeOnly: whole === "true" } : { run: await resolveRun(db, run) }), 200);
    },
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/compare",
      summary: "What changed from one run to another",
      request: { query: z.object({ a: runNameSchema, b: runNameSchema }) },
      ...guarded("read", "views", { 200: json(comparisonSchema, "What broke, was mended, appeared, vanished, was not run") }),
    }),
    async (c) => {
      const { a, b } = c.req.valid("query");
      return c.json(await compareRuns(db, { a: await resolveRun(db, a), b: await resolveRun(db, b) }), 200);
    },
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/crashes",
      summary: "What kernels complained of, one row a fingerprint",
      request: { query: z.object({ ...pagingQuery, target: textQuery.optional(), kind: textQuery.optional() }) },
      ...guarded("read", "views", { 200: json(crashListSchema, "A page of crashes, last seen first") }),
    }),
    async (c) => c.json(await crashes(db, defined(c.req.valid("query"))), 200),
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/crashes/events",
      summary: "Each time one crash was seen",
      request: { query: z.object({ ...pagingQuery, fingerprint: z.string().max(1_000) }) },
      ...guarded("read", "views", { 200: json(crashEventsSchema, "Newest first") }),
    }),
    async (c) => c.json(await crashEvents(db, defined(c.req.valid("query"))), 200),
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/figures",
      summary: "Figures of benchmarks over time",
      request: { query: z.object({ ...pagingQuery, name: textQuery.optional(), target: textQuery.optional() }) },
      ...guarded("read", "views", { 200: json(figureListSchema, "The newest ones, oldest first") }),
    }),
    async (c) => c.json(await figuresOverTime(db, defined(c.req.valid("query"))), 200),
  );

  api.openapi(
    createRoute({ method: "get", path: "/figures/names", summary: "Which figures there are", ...guarded("read", "views", { 200: json(figureNamesSchema, "Names with unit and target") }) }),
    async (c) => c.json({ names: await figureNames(db) }, 200),
  );

  api.openapi(
    createRoute({ method: "get", path: "/waivers", summary: "Waivers with days left", ...guarded("read", "views", { 200: json(waiverListSchema, "Those that end first come first") }) }),
    async (c) => {
      const today = new Date().toISOString().slice(0, 10);
      return c.json({ today, waivers: await waivers(db, { today }) }, 200);
    },
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/requirements",
      summary: "The catalogue with the state of each requirement",
      request: { query: z.object({ whole: wholeQuery }) },
      ...guarded("read", "requirements", { 200: json(requirementListSchema, "Every requirement; its states in the runs that the matrix shows") }),
    }),
    async (c) => {
      const states = await newestStates(centre, await matrix(db, { wholeOnly: c.req.valid("query").whole === "true" }));
      return c.json({ requirements: REQUIREMENTS.map(({ id, level, text }) => ({ id, area: areaOf(id), level, text, states: states.get(id) ?? [] })) }, 200);
    },
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/requirements/{id}",
      summary: "One requirement with its history",
      request: { params: z.object({ id: z.string().regex(/^[A-Z]+-\d{3}$/, "a requirement id looks like MSG-014") }), query: z.object({ ...pagingQuery, target: textQuery.optional(), kernel: textQuery.optional(), module: textQuery.optional() }) },
      ...guarded("read", "requirements", { 200: json(requirementDetailSchema, "Text, source, tests, states over kernels and modules") }),
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      const { requirement: _id, text, level, tests, ...history } = await requirementHistory(db, { requirement: id, ...defined(c.req.valid("query")) });
      const row = isRequirementId(id) ? requirement(id) : null;
      if (row === null && text === null) throw new SuiteError("REQUIREMENT_UNKNOWN", `"${id}" is in no catalogue that the centre knows`);
      const latest = await Promise.all(tests.map(async (test) => ({ test, latest: newest((await testHistory(db, { test, limit: 50 })).rows) })));
      return c.json(
        {
          id,
          area: id.slice(0, id.indexOf("-")).toLowerCase(),
          level: row?.level ?? level ?? "must",
          text: row?.text ?? text ?? "",
          source: row?.source ?? null,
          verify: row?.verify ?? null,
          untestable: row?.untestable ?? null,
          generations: row?.generations ?? null,
          tests: latest,
          history,
        },
        200,
      );
    },
  );
}

async function newestStates(centre: Centre, shown: Matrix): Promise<Map<string, { target: string; state: string }[]>> {
  const states = new Map<string, { target: string; state: string }[]>();
  for (const { target, run } of shown.targets) {
    const { rows } = await runRequirements(centre.db, { run, target, limit: 1_000 });
    for (const { requirement: id, state } of rows) states.set(id, [...(states.get(id) ?? []), { target, state }]);
  }
  return states;
}

/** Of rows with the newest first, the first of each target. */
function newest<T extends { readonly target: string; readonly run: string; readonly outcome: string }>(rows: readonly T[]): { target: string; run: string; outcome: string }[] {
  const byTarget = new Map<string, { target: string; run: string; outcome: string }>();
  for (const { target, run, outcome } of rows) if (!byTarget.has(target)) byTarget.set(target, { target, run, outcome });
  return [...byTarget.values()];
}
