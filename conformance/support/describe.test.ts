import assert from "node:assert/strict";
import test from "node:test";
import * as abi from "../../fixtures/abi/constants.ts";
import { encodeCommand, encodeMessage, item } from "../../fixtures/abi/encode.ts";
import { describeCommand, describeSent, describeSlice } from "./describe.ts";

test("a command is told with its flags, fields and items", () => {
  const { bytes } = encodeCommand("NAME_ACQUIRE", { flags: abi.NAME.QUEUE | 0x100n }, [item.name("a.b")]);
  assert.equal(describeCommand("NAME_ACQUIRE", bytes), 'NAME_ACQUIRE flags QUEUE|0x100, NAME "a.b"');
  assert.equal(describeCommand("BYEBYE", encodeCommand("BYEBYE", {}).bytes), "BYEBYE");
});

test("a malformed command is told as far as it can be read", () => {
  assert.equal(describeCommand("LIST", Uint8Array.of(1, 2)), "LIST with 2 bytes: 0102");
  assert.match(describeCommand("LIST", encodeCommand("LIST", { size: 4 }, [item.raw(77, new Uint8Array(3), 5)]).bytes), /size 4 \(of 64 bytes\), malformed items 05/);
});

test("a message is told", () => {
  const { bytes } = encodeMessage({ dst_id: -1, flags: abi.MSG.SIGNAL, cookie: 7, payload_type: abi.PAYLOAD.DBUS }, [item.vec(0, 9), item.vec(5, 6)]);
  assert.equal(describeSent(bytes), "to all ones, cookie 7, flags SIGNAL, PAYLOAD_VEC 9 bytes of zeros, PAYLOAD_VEC 6 bytes");
});

test("a slice without a message is shown as it is", () => {
  assert.match(describeSlice(new Uint8Array(8)), /^no message: msg needs 64 bytes at 0, there are 8: 0000/);
});
