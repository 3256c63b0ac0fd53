import { chromium, type Browser } from "@playwright/test";
import { SuiteError } from "../base/errors.ts";
import { serveDatabase } from "../api/testing/serve-database.ts";
import { CHROMIUM } from "../api/browser/chromium.ts";
import type { Database } from "../store/schema.ts";
import { fillDatabase } from "./bulk-database.ts";
import { median, timed, type Figure } from "./figures.ts";

const [RUNS, TESTS] = [500, 1_000] as const;
const LOADS = 5;
const LIMIT_MS = 300_000;

/** What each page is, and what is on it once it is whole. */
const PAGES: readonly (readonly [string, (names: Names) => string, string])[] = [
  ["matrix", () => "/", "td.cell a"],
  ["runs", () => "/runs", "table.runs tbody tr"],
  ["run", ({ run }) => `/runs/${run}?show=all`, "table.tests tbody tr"],
  ["test", ({ run, target, test }) => `/runs/${run}/test?${new URLSearchParams({ target, test }).toString()}`, ".strip a"],
  ["requirements", () => "/requirements", "table.tests tbody tr"],
  ["requirement", ({ requirement }) => `/requirements/${requirement}`, "main table tbody tr"],
  ["compare", ({ before, run }) => `/compare?a=${before}&b=${run}`, ".pair"],
];

interface Names {
  readonly run: string;
  readonly before: string;
  readonly target: string;
  readonly test: string;
  readonly requirement: string;
}

/**
 * From the request for a page to its last row, in a browser that has nothing of it: 500 runs of 1,000 tests are in the database.
 * @param home a folder for what the centre writes
 */
export async function dashboardFigures(db: Database, home: string): Promise<Figure[]> {
  await fillDatabase(db, { runs: RUNS, targets: 1, tests: TESTS, details: true });
  const names = await namesIn(db);
  await using centre = await serveDatabase(db, home, { publicRead: true });
  await fetch(centre.url); // the dashboard is built at the first request after a change of its source
  const browser = await chromium.launch(CHROMIUM);
  try {
    const figures: Figure[] = [];
    for (const [name, pathOf, sign] of PAGES) {
      const took: number[] = [];
      for (let turn = 0; turn <= LOADS; turn++) {
        const ms = await load(browser, centre.url + pathOf(names), sign);
        if (turn > 0) took.push(ms); // the first load of a page warms server and browser, not its cache
      }
      figures.push(timed(`dashboard with ${RUNS} runs of ${TESTS} tests: page ${name}, median of ${LOADS}`, median(took), "ms"));
    }
    return figures;
  } finally {
    await browser.close();
  }
}

/** A context has a cache of its own, which is empty. The browser's clock counts: from the start of the navigation to the picture after the last row. */
async function load(browser: Browser, url: string, sign: string): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 } });
  try {
    const page = await context.newPage();
    // Set up before anything loads, so that no polling from outside is part of the time.
    await page.addInitScript(`
      globalThis.whole = new Promise((resolve) => new MutationObserver((_, observer) => {
        if (document.querySelector(${JSON.stringify(sign)}) === null || document.querySelector(".loading, .notice.bad") !== null) return;
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
      }).observe(document, { subtree: true, childList: true }));`);
    await page.goto(url, { timeout: LIMIT_MS });
    const refused = page.locator(".notice.bad").first();
    await page.locator(sign).or(refused).first().waitFor({ timeout: LIMIT_MS });
    if (await refused.isVisible()) throw new SuiteError("INTERNAL", `${new URL(url).pathname} shows no page but: ${await refused.innerText()}`);
    return await page.evaluate<number>("globalThis.whole");
  } finally {
    await context.close();
  }
}

async function namesIn(db: Database): Promise<Names> {
  const [run, before] = await db.selectFrom("run").select("id").orderBy("id", "desc").limit(2).execute();
  const { target } = await db.selectFrom("run_target").select("target").limit(1).executeTakeFirstOrThrow();
  const { test, requirement } = await db.selectFrom("test_name").innerJoin("test_requirement", "test_requirement.test", "test_name.id").select(["name as test", "requirement"]).where("id", "=", TESTS / 2).executeTakeFirstOrThrow();
  return { run: run?.id ?? "", before: before?.id ?? "", target, test, requirement };
}
