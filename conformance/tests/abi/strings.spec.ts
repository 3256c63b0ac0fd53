import { abi, covers, encodeCommand, expect, expectResult, ioctls, item, test, type Encoded, type Item } from "../../support/index.ts";

/** A payload of these bytes with a NUL behind it. */
const payload = (before: string, byte: number, after: string): Uint8Array => Uint8Array.from([...new TextEncoder().encode(before), byte, ...new TextEncoder().encode(after), 0]);

/** HELLO and BUS_MAKE that only ask: they are parsed like real ones and change nothing. */
const description = (bytes: Uint8Array): Encoded => encodeCommand("HELLO", { flags: abi.FLAG_NEGOTIATE, pool_size: 4096 }, [item.raw(abi.ITEM.CONN_DESCRIPTION, bytes)]);
const makeName = (bytes: Uint8Array): Encoded => encodeCommand("BUS_MAKE", { flags: abi.FLAG_NEGOTIATE }, [item.raw(abi.ITEM.MAKE_NAME, bytes), item.bloomParameter(64, 1)]);

const busMake = (name: Item): Encoded => encodeCommand("BUS_MAKE", {}, [name, item.bloomParameter(64, 1)]);
const endpointMake = (name: Item): Encoded => encodeCommand("ENDPOINT_MAKE", {}, [name]);
const hello = (label: Item): Encoded => encodeCommand("HELLO", { pool_size: 4096 }, [label]);

test("ABI-022 names and descriptions may have 63 characters, not 64", covers("ABI-022"), async ({ bus, root }) => {
  const text = (length: number): string => `0-${"x".repeat(length - 2)}`;
  const handles = { BUS_MAKE: await root.open(bus.domain.control), ENDPOINT_MAKE: await root.open(bus.path), HELLO: await root.open(bus.path) };
  const commands = { BUS_MAKE: (length: number) => busMake(item.makeName(text(length))), ENDPOINT_MAKE: (length: number) => endpointMake(item.makeName(text(length))), HELLO: (length: number) => hello(item.description(text(length))) };

  for (const name of ["BUS_MAKE", "ENDPOINT_MAKE", "HELLO"] as const) {
    for (const length of [64, 65, 200]) expectResult(await root.command(handles[name], name, commands[name](length)), "ENAMETOOLONG");
    expectResult(await root.command(handles[name], name, commands[name](63)), null);
  }
});

test("ABI-023 names and descriptions of less than one character give EINVAL", covers("ABI-023"), async ({ bus, root }) => {
  const handles = { BUS_MAKE: await root.open(bus.domain.control), ENDPOINT_MAKE: await root.open(bus.path), HELLO: await root.open(bus.path) };

  for (const bytes of [new Uint8Array(0), new Uint8Array(1), Uint8Array.of(65)]) {
    expectResult(await root.command(handles.BUS_MAKE, "BUS_MAKE", busMake(item.raw(abi.ITEM.MAKE_NAME, bytes))), "EINVAL");
    expectResult(await root.command(handles.ENDPOINT_MAKE, "ENDPOINT_MAKE", endpointMake(item.raw(abi.ITEM.MAKE_NAME, bytes))), "EINVAL");
    expectResult(await root.command(handles.HELLO, "HELLO", hello(item.raw(abi.ITEM.CONN_DESCRIPTION, bytes))), "EINVAL");
  }
  expectResult(await root.command(handles.HELLO, "HELLO", hello(item.description("A"))), null);
});

const places = { first: ["", "b"], middle: ["a", "b"], last: ["a", ""] } as const;
for (const [place, [before, after]] of Object.entries(places)) {
  test(`ABI-024 the ASCII characters that a description may have in ${place} position`, covers("ABI-024"), async ({ bus, root }) => {
    const fd = await root.open(bus.path);
    const ascii = Array.from({ length: 127 }, (_, index) => index + 1);
    const allowed = place === "middle" ? /[A-Za-z0-9_.-]/ : /[A-Za-z0-9_]/;

    const outcomes = await ioctls(root, fd, "HELLO", ascii.map((byte) => description(payload(before, byte, after))));

    const text = (result: string | null): string => ascii.filter((_, index) => outcomes[index]?.errno === result).map((byte) => String.fromCharCode(byte)).join("");
    const expected = ascii.map((byte) => String.fromCharCode(byte));
    expect(text(null), "accepted").toBe(expected.filter((letter) => allowed.test(letter)).join(""));
    expect(text("EINVAL"), "refused with EINVAL").toBe(expected.filter((letter) => !allowed.test(letter)).join(""));
  });
}

test("ABI-024 the ASCII characters that a bus name may have", covers("ABI-024"), async ({ domain, root }) => {
  const fd = await root.open(domain.control);
  const ascii = Array.from({ length: 127 }, (_, index) => index + 1);

  const inside = await ioctls(root, fd, "BUS_MAKE", ascii.map((byte) => makeName(payload("0-a", byte, "b"))));
  const last = await ioctls(root, fd, "BUS_MAKE", ascii.map((byte) => makeName(payload("0-a", byte, ""))));

  const accepted = (outcomes: typeof inside): string => ascii.filter((_, index) => outcomes[index]?.errno === null).map((byte) => String.fromCharCode(byte)).join("");
  const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
  expect(accepted(inside)).toBe(`-.${letters}`);
  expect(accepted(last)).toBe(letters);
});

test("ABI-024 names with every kind of allowed character are taken, with others not", covers("ABI-024"), async ({ bus, root }) => {
  const [control, endpoint, connection] = [await root.open(bus.domain.control), await root.open(bus.path), await root.open(bus.path)];

  for (const bad of ["0-a@b", "0-ab-", "0-ab.", "0-a b", "0-a/b", ".0-ab", "-0ab"]) {
    expectResult(await root.command(control, "BUS_MAKE", busMake(item.makeName(bad))), "EINVAL");
    expectResult(await root.command(endpoint, "ENDPOINT_MAKE", endpointMake(item.makeName(bad))), "EINVAL");
    expectResult(await root.command(connection, "HELLO", hello(item.description(bad))), "EINVAL");
  }
  expectResult(await root.command(control, "BUS_MAKE", busMake(item.makeName("0-a-B.c_9"))), null);
  expectResult(await root.command(endpoint, "ENDPOINT_MAKE", endpointMake(item.makeName("0-a-B.c_9"))), null);
  expectResult(await root.command(connection, "HELLO", hello(item.description("_a-B.c_9"))), null);
});

test("ABI-056 no byte above 0x7f is a character of a name or description", covers("ABI-056"), async ({ bus, root }) => {
  const high = Array.from({ length: 128 }, (_, index) => index + 0x80);
  const [control, endpoint] = [await root.open(bus.domain.control), await root.open(bus.path)];

  const names = await ioctls(root, control, "BUS_MAKE", high.map((byte) => makeName(payload("0-a", byte, "b"))));
  const descriptions = await ioctls(root, endpoint, "HELLO", high.map((byte) => description(payload("a", byte, "b"))));

  expect(high.filter((_, index) => names[index]?.errno !== "EINVAL"), "in a bus name").toEqual([]);
  expect(high.filter((_, index) => descriptions[index]?.errno !== "EINVAL"), "in a description").toEqual([]);
  expectResult(await root.command(control, "BUS_MAKE", busMake(item.raw(abi.ITEM.MAKE_NAME, payload("0-", 0xe9, "b")))), "EINVAL");
  expectResult(await root.command(endpoint, "HELLO", hello(item.raw(abi.ITEM.CONN_DESCRIPTION, payload("a", 0xe9, "")))), "EINVAL");
  expectResult(await root.command(endpoint, "HELLO", hello(item.description("aeb"))), null);
});
