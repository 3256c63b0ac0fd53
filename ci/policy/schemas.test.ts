import assert from "node:assert/strict";
import test from "node:test";
import { staleSchemas } from "./schemas.ts";

test("the published schemas are those of the code; `node ci/policy/schemas.ts --write` makes them again", async () => {
  assert.deepEqual(await staleSchemas(), []);
});
