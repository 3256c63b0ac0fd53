import assert from "node:assert/strict";
import { test } from "node:test";
import { DBUS_HEAD, dbusSize, decodeDbus, encodeDbus, type DbusMessage } from "./dbus-wire.ts";

/** `dbus-send --system --dest=org.freedesktop.DBus / org.freedesktop.DBus.Hello`, byte by byte from the specification's rules. */
const HELLO =
  "6c010001 00000000 01000000 4f000000" + // little endian, call, no flags, version 1; no body; serial 1; 79 bytes of fields
  " 01016f00 01000000 2f00 0000 00000000" + // path "/"
  " 02017300 14000000 6f72672e667265656465736b746f702e44427573 00 000000"; // interface "org.freedesktop.DBus"

test("the fixed part and the first fields are as the specification writes them", () => {
  const bytes = encodeDbus({ type: "call", serial: 1, path: "/", interface: "org.freedesktop.DBus", member: "Hello", args: [] });
  const hex = Buffer.from(bytes).toString("hex");
  const expected = HELLO.replaceAll(" ", "");
  assert.equal(hex.slice(0, 24), expected.slice(0, 24));
  assert.equal(hex.slice(32, expected.length), expected.slice(32));
  assert.equal(bytes.length % 8, 0);
});

const messages: Readonly<Record<string, DbusMessage>> = {
  "a call with bytes": { type: "call", serial: 7, noReply: false, path: "/a", interface: "a.b", member: "C", destination: "d.e", args: [Uint8Array.of(1, 2, 3)] },
  "a call that wants no reply": { type: "call", serial: 8, noReply: true, path: "/a", member: "C", destination: ":1.5", args: [5] },
  "a reply without arguments": { type: "return", serial: 9, noReply: false, replySerial: 7, destination: ":1.4", args: [] },
  "an error": { type: "error", serial: 10, noReply: false, replySerial: 7, errorName: "a.b.Failed", args: ["why"] },
  "a signal with texts": { type: "signal", serial: 11, noReply: false, path: "/", interface: "a.b", member: "S", sender: ":1.1", args: ["x", "", "yz"] },
  "a call with a descriptor": { type: "call", serial: 12, noReply: false, path: "/", member: "F", fds: 1, args: [{ fd: 0 }, "name"] },
};

for (const [what, message] of Object.entries(messages)) {
  test(`${what} is read as it was written`, () => {
    const bytes = encodeDbus(message);
    assert.equal(dbusSize(bytes.subarray(0, DBUS_HEAD)), bytes.length);
    assert.deepEqual(decodeDbus(bytes), message);
  });
}

test("what is no message is refused", () => {
  assert.throws(() => decodeDbus(new Uint8Array(32)), /no D-Bus message/);
});
