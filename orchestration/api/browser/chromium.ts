/** How Debian's browser is started, for tests and benchmarks of the dashboard. As root it has no sandbox. */
export const CHROMIUM = {
  executablePath: process.env["BUSLAB_CHROMIUM"] ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
};
