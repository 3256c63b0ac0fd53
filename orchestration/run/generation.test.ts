import assert from "node:assert/strict";
import test from "node:test";
import { encodeCommand, item, negotiating } from "../../fixtures/abi/encode.ts";
import { agreed, readSignA } from "./generation.ts";

const answer = (...entries: bigint[]): Uint8Array =>
  encodeCommand("BUS_MAKE", { flags: negotiating() }, [item.bloomParameter(64, 1), item.makeName("0-x"), item.negotiate(entries)]).bytes;

test("sign A is read from what the kernel left of the entries", () => {
  assert.equal(readSignA(answer(12n, 13n)), "2015-03");
  assert.equal(readSignA(answer(12n, 0n)), "2015-08");
  assert.match(readSignA(answer(0n, 0n)), /^no sign, entry 12 became 0/);
  assert.match(readSignA(answer(12n, 5n)), /^no sign, entry 13 became 5/);
});

test("only two equal signs tell a generation", () => {
  assert.equal(agreed("2015-08", "2015-08"), "2015-08");
  assert.equal(agreed("2015-03", "2015-03"), "2015-03");
  assert.equal(agreed("2015-03", "2015-08"), "unknown");
  assert.equal(agreed("2015-08", "no sign, ENOTTY"), "unknown");
  assert.equal(agreed("no sign, ENOTTY", "no sign, ENOTTY"), "unknown");
});
