import assert from "node:assert/strict";
import test from "node:test";
import * as abi from "../../fixtures/abi/constants.ts";
import { encodeCommand, encodeMessage, item } from "../../fixtures/abi/encode.ts";
import { address, memory } from "./memory.ts";
import { describeCommand, describeSent, describeSlice } from "./describe.ts";

test("a command is told with its flags, fields and items", () => {
  const { bytes } = encodeCommand("NAME_ACQUIRE", { flags: abi.NAME.QUEUE | 0x100n }, [item.name("a.b")]);
  assert.equal(describeCommand("NAME_ACQUIRE", bytes), 'NAME_ACQUIRE flags QUEUE|0x100, NAME "a.b"');
  const hello = encodeCommand("HELLO", { attach_flags_send: abi.ATTACH_ALL, attach_flags_recv: 3, pool_size: 4096 }, [item.bloomParameter(64, 1)]);
  assert.equal(describeCommand("HELLO", hello.bytes), "HELLO attach_flags_send all, attach_flags_recv TIMESTAMP|CREDS, pool_size 4096, BLOOM_PARAMETER size 64 hashes 1");
  assert.equal(describeCommand("BYEBYE", encodeCommand("BYEBYE", {}).bytes), "BYEBYE");
});

test("a malformed command is told as far as it can be read", () => {
  assert.equal(describeCommand("LIST", Uint8Array.of(1, 2)), "LIST with 2 bytes: 0102");
  assert.match(describeCommand("LIST", encodeCommand("LIST", { size: 4 }, [item.raw(77, new Uint8Array(3), 5)]).bytes), /size 4 \(of 64 bytes\), malformed items 05/);
});

test("a message is told", () => {
  const message = encodeMessage({ dst_id: -1, flags: abi.MSG.SIGNAL, cookie: 7, payload_type: abi.PAYLOAD.DBUS }, [item.vec(0, 9), item.vec(5, 6), item.vec(address(memory("hello")), 5), item.vec(address(memory("hello"), 1), 9), item.fds([3, -1])]);
  assert.equal(
    describeSent(message),
    'to all ones, cookie 7, flags SIGNAL, PAYLOAD_VEC 9 bytes of zeros, PAYLOAD_VEC 6 bytes at 0x5, PAYLOAD_VEC "hello" [5], PAYLOAD_VEC "ello" [4] but size 9, FDS 3 -1',
  );
});

test("a slice without a message is shown as it is", () => {
  assert.match(describeSlice(new Uint8Array(8)), /^no message: msg needs 64 bytes at 0, there are 8: 0000/);
});
