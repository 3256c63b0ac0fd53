import { randomBytes } from "node:crypto";

/** Run id: sortable UTC time and 24 random bits, e.g. `20261124-031455-a1b2c3`. Carried by everything a run starts. */
export function newRunId(now: Date = new Date()): string {
  const stamp = now.toISOString().replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return `${stamp}-${randomBytes(3).toString("hex")}`;
}

export const RUN_ID = /^\d{8}-\d{6}-[0-9a-f]{6}$/;
