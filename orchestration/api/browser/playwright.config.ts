import { defineConfig } from "@playwright/test";
import { CHROMIUM } from "./chromium.ts";

/** Tests of the dashboard in a real browser; `dashboard.browser.test.ts` starts them. */
export default defineConfig({
  testDir: ".",
  testMatch: "*.page.ts",
  outputDir: process.env["BUSLAB_BROWSER_OUT"] ?? "../../../test-results/dashboard",
  retries: 0,
  workers: 1,
  // A host that runs machines beside gives a page a tenth of a processor; nothing here measures time.
  timeout: 900_000,
  expect: { timeout: 180_000 },
  reporter: [["json"]],
  use: {
    viewport: { width: 1360, height: 860 },
    launchOptions: CHROMIUM,
  },
});
