import { abi, covers, encodeCommand, expect, expectResult, item, test, tryAcquire, type Connection } from "../../support/index.ts";

async function outcomes(connection: Connection, names: readonly string[]): Promise<Record<string, string | null>> {
  const seen: Record<string, string | null> = {};
  for (const name of names) seen[name] = (await tryAcquire(connection, name)).errno;
  return seen;
}

const all = (names: readonly string[], errno: string | null): Record<string, string | null> => Object.fromEntries(names.map((name) => [name, errno]));

test("NAME-002 a name has two elements or more and none of them is empty", covers("NAME-002"), async ({ bus }) => {
  const connection = await bus.connect();
  const bad = ["", "a", "foo", ".", "..", ".bla.blaz", ".a", "a.", "a..b", "a.b.", "a.b..c"];

  expect(await outcomes(connection, ["a.b", "a.b.c", "foo.bla.blaz"])).toEqual(all(["a.b", "a.b.c", "foo.bla.blaz"], null));
  expect(await outcomes(connection, bad)).toEqual(all(bad, "EINVAL"));
});

test("NAME-003 elements are letters, digits, underscores and dashes, without a digit in front", covers("NAME-003"), async ({ bus }) => {
  const connection = await bus.connect();
  const good = ["a.b1", "a._b", "A.Z9", "z0_.y", "_._"];
  const bad = ["a.1b", "1a.b", "a.b.0", "a.b@c", "a b.c", "a.b/c", "a.b:c", "a.b+c", "a.b\u007f", "a.b\u0001", "a.b[", "a.b`", "a.b{"];

  expect(await outcomes(connection, good)).toEqual(all(good, null));
  expect(await outcomes(connection, bad)).toEqual(all(bad, "EINVAL"));
});

test("NAME-004 a dash may stand anywhere in an element", covers("NAME-004"), async ({ bus }) => {
  const connection = await bus.connect();
  const good = ["a-b.c-d", "-a.-b", "a-.b-", "-.-"];

  expect(await outcomes(connection, good)).toEqual(all(good, null));
});

test("NAME-005 a name has 255 characters at most", covers("NAME-005"), async ({ bus }) => {
  const connection = await bus.connect();
  const longest = `a.${"b".repeat(253)}`;

  expectResult(await tryAcquire(connection, longest), null);
  expectResult(await tryAcquire(connection, `${longest}b`), "EINVAL");
});

test("NAME-006 a wildcard cannot be acquired", covers("NAME-006"), async ({ bus }) => {
  const connection = await bus.connect();
  const bad = ["foo.bla.bl.*", "a.*", "*", "a.*.b", "a.b*"];

  expect(await outcomes(connection, bad)).toEqual(all(bad, "EINVAL"));
});

test("NAME-018 flags that only the kernel sets, and unknown ones, are refused", covers("NAME-018"), async ({ bus }) => {
  const connection = await bus.connect();

  const seen: Record<string, string | null> = {};
  for (const flags of [0x8n, 0x10n, 0x20n, 0x40n, 0x80n, 1n << 62n]) seen[`0x${flags.toString(16)}`] = (await tryAcquire(connection, "a.b", flags)).errno;

  expect(Object.entries(seen).filter(([, errno]) => errno !== "EINVAL")).toEqual([]);
  expectResult(await tryAcquire(connection, "a.b", 0x7n), null);
});

test("NAME-074 bytes above 0x7f are no letters", covers("NAME-074"), async ({ bus }) => {
  const connection = await bus.connect();

  const accepted: number[] = [];
  for (let byte = 0x80; byte <= 0xff; byte += 1) {
    if (byte % 8 !== 0 && byte < 0xc0) continue; // all of the range that is letters in ISO 8859-1, some of the rest
    const name = Uint8Array.of(0x61, 0x2e, 0x62, byte, 0);
    const { errno } = await connection.ioctl("NAME_ACQUIRE", encodeCommand("NAME_ACQUIRE", {}, [item.raw(abi.ITEM.NAME, name)]));
    if (errno !== "EINVAL") accepted.push(byte);
  }

  expect(accepted).toEqual([]);
});
