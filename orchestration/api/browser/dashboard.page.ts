import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect, test as base, type Page } from "@playwright/test";
import { REQUIREMENTS } from "../../../conformance/catalogue/index.ts";
import { serveMadeUp, type MadeUpCentre } from "./serve-made-up.ts";

const test = base.extend<{ clean: Page }, { centre: MadeUpCentre }>({
  centre: [
    async ({}, use) => {
      await using centre = await serveMadeUp({ publicRead: true, runs: 4, tests: 120 });
      await use(centre);
    },
    { scope: "worker", timeout: 900_000 },
  ],
  /** A page that may not complain: no script error, nothing the content security policy refused. */
  clean: async ({ page }, use) => {
    const complaints: string[] = [];
    page.on("console", (message) => (message.type() === "error" || message.text().includes("Content Security Policy") ? complaints.push(message.text()) : 0));
    page.on("pageerror", (error) => complaints.push(error.message));
    await use(page);
    expect(complaints).toEqual([]);
  },
});

async function keep(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: test.info().outputPath(`${name}.png`), fullPage: name !== "run" });
}

async function expectAccessible(page: Page): Promise<void> {
  const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(source);
  const rules = JSON.stringify({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"] });
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }>(`axe.run(${rules})`);
  expect(violations.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary?.split("\n")[1] ?? ""}`).join(" | ")}`)).toEqual([]);
}

for (const scheme of ["light", "dark"] as const) {
  test(`every page is accessible and kept as a picture, ${scheme}`, async ({ clean: page, centre }) => {
    await page.emulateMedia({ colorScheme: scheme });
    const run = centre.runs.at(-1) ?? "";
    const pages = { matrix: "/", runs: "/runs", run: `/runs/${run}`, requirements: "/requirements?area=msg", requirement: "/requirements/ABI-001", compare: "/compare", crashes: "/crashes", benchmarks: "/benchmarks", waivers: "/waivers" };
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(centre.url + path);
      await expect(page.locator("h1")).toBeVisible();
      await expect(page.locator('.loading, [aria-busy="true"]')).toHaveCount(0);
      await expect(page.locator(".notice.bad")).toHaveCount(0);
      await expect(page).toHaveTitle(/ · buslab$/);
      await keep(page, `${name}-${scheme}`);
      await expectAccessible(page);
    }
  });
}

test("from the matrix down to the evidence of a test, without a mouse", async ({ clean: page, centre }) => {
  await page.goto(centre.url);
  await expect(page.locator("td.cell a").first()).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  const bad = page.locator("td.cell a.tone-bad").first();
  await bad.focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/runs\/[\w-]+\?target=.*area=/);
  await expect(page.locator("table.tests tbody tr").first()).toBeVisible();
  await page.keyboard.press("k"); // the last row of the page is one of its tests
  await page.locator("table.tests tbody tr", { has: page.locator(".tone-bad") }).first().locator("a.row-link").focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/test\?/);
  await expect(page.getByText("What went over the bus")).toBeVisible();
  await expect(page.getByText("In other runs")).toBeVisible();
  await keep(page, "test");
  await expectAccessible(page);
  await page.keyboard.press("g");
  await page.keyboard.press("k");
  await expect(page.getByRole("heading", { name: "Crashes" })).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("a table drawn in steps ends with every row, also after a filter", async ({ clean: page, centre }) => {
  await page.goto(`${centre.url}/requirements`);
  const rows = page.locator("table.tests tbody tr");
  await expect(rows).toHaveCount(REQUIREMENTS.length);
  await page.keyboard.press("k");
  await expect(rows.last().locator("a.row-link")).toBeFocused();
  await page.getByRole("searchbox").fill("MSG-0");
  await expect(rows.first()).toContainText("MSG-001");
  await page.getByRole("searchbox").fill("");
  await expect(rows).toHaveCount(REQUIREMENTS.length);
});

test("figures are drawn over time, and one outside of its noise is told in words", async ({ clean: page, centre }) => {
  await page.goto(`${centre.url}/benchmarks`);
  await expect(page.locator(".plot canvas")).toHaveCount(3);
  const inked = await page.evaluate<number[]>("[...document.querySelectorAll('.plot canvas')].map((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.filter((byte) => byte > 0).length)");
  for (const bytes of inked) expect(bytes).toBeGreaterThan(1_000);
  await expect(page.getByText(/outside of \d/)).toHaveCount(1);
  await keep(page, "figures");
});

test("text of guests is shown and never acted upon", async ({ clean: page, centre }) => {
  await page.goto(`${centre.url}/crashes`);
  await page.getByRole("link", { name: /KASAN/ }).click();
  const report = page.locator("pre.console");
  await expect(report).toContainText("<img src=x onerror=");
  await expect(report).toContainText("<U+202E>evil");
  expect(await report.textContent()).not.toContain("\u001b");
  await expect(report).not.toContainText("[31m");
  expect(await page.locator("main img, main script").count()).toBe(0);
  await expect(page).toHaveTitle("Crash · buslab");
});

test("a run is followed while it goes on, to its verdict", async ({ clean: page, centre }) => {
  await page.goto(`${centre.url}/runs/${centre.live.run}`);
  const done = page.locator(".live-head .num").first();
  await expect(done).toContainText(/^20 of/);
  await centre.live.more(9);
  await expect(done).toContainText(/^23 of/);
  await keep(page, "live");
  await expectAccessible(page);
  await centre.live.end();
  await expect(page.locator("h1 .verdict")).toContainText("violated");
});

test("it can be read on a narrow screen and without colours", async ({ clean: page, centre }) => {
  await page.emulateMedia({ forcedColors: "active" });
  await page.setViewportSize({ width: 390, height: 800 });
  for (const path of ["/", "/runs", `/runs/${centre.runs.at(-1) ?? ""}`]) {
    await page.goto(centre.url + path);
    await expect(page.locator("table").first()).toBeVisible();
    expect(await page.evaluate<boolean>("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
  }
  await page.goto(centre.url);
  await keep(page, "narrow");
  const cell = page.locator("td.cell a").first();
  await expect(cell.locator("svg path")).toHaveCount(1);
  await expect(cell).toHaveAccessibleName(/planned: /);
});

test("a closed centre asks for a token once, and gives a cookie that scripts cannot read", async ({ page }) => {
  await using closed = await serveMadeUp({ publicRead: false, runs: 1, tests: 20 });
  await page.goto(`${closed.url}/runs`);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await keep(page, "sign-in");
  await page.getByLabel("Token").fill("buslab_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").first()).toContainText("unknown, expired or revoked");
  await page.getByLabel("Token").fill(closed.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.locator("table.runs tbody tr").first()).toBeVisible();
  expect(await page.evaluate<string>("document.cookie")).toBe("");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});
