import assert from "node:assert/strict";
import test from "node:test";
import { noiseBands } from "./dashboard/src/pages/noise.ts";
import { visible } from "./dashboard/src/ui/text.ts";

test("a step stands out of the noise, and one outlier does not widen the band", () => {
  const values = [10, 10.2, 9.9, 10.1, 30, 10, 10.1, 9.8, 13];
  const bands = noiseBands(values);
  assert.deepEqual(bands[3], { low: null, high: null });
  const outside = values.map((value, index) => bands[index]?.low !== null && (value < (bands[index]?.low ?? 0) || value > (bands[index]?.high ?? 0)));
  assert.deepEqual(outside, [false, false, false, false, true, false, false, false, true]);
});

test("terminal sequences are dropped, what hides is shown, markup is left as text", () => {
  assert.equal(visible("\u001b[31mred\u001b[0m \u001b]0;title\u0007<b>\u202e\u0000\r\nend"), "red <b><U+202E>\u2400\nend");
  assert.equal(visible("\u001b]8;;http://evil\u001b\\link"), "link");
});
