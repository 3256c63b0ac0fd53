import assert from "node:assert/strict";
import test from "node:test";
import { explain, Transcript } from "./transcript.ts";

test("a failure is explained by requirement, operations, and what was seen", () => {
  const transcript = new Transcript();
  transcript.add({ who: "root", what: "SEND to id 3, cookie 7", result: "0" });
  transcript.add({ who: "root", what: "RECV", result: "EAGAIN" });
  const text = explain({
    title: "MSG-001 a message arrives", file: "msg/unicast.spec.ts", target: "x86_64/debian-6.1/none/plain", requirements: ["MSG-001"],
    errors: ["\u001b[31mBusError: RECV failed with EAGAIN\u001b[39m"], facts: { generation: "2015-08" }, transcript,
  });
  assert.match(text, /MSG-001 \(must; source: kdbus\.message\(7\)\)\n    KDBUS_CMD_SEND of a plain unicast/);
  assert.match(text, /1 +\d+ ms {2}root {2}SEND to id 3, cookie 7\n +-> 0\n/);
  assert.match(text, /In the specification: 30-message, and MSG-001 of its catalogue\n/);
  assert.match(text, /Expected and seen\n {2}RECV\n {4}Expected: success\n {4}Received: EAGAIN\n/);
  assert.ok(text.indexOf("Expected and seen") < text.indexOf("Done"), "what was expected comes before the long list");
  assert.match(text, /generation: 2015-08/);
});

test("the middle of a flood is left out, and that is said", () => {
  const transcript = new Transcript();
  for (let index = 0; index < 1000; index++) transcript.note(`step ${index}`);
  const lines = transcript.toString().split("\n");
  assert.equal(lines.length, 401);
  assert.equal(lines[200]?.trim(), "... 600 operations left out ...");
});
