import { abi, attached, covers, expect, forkOf, openToWorld, test } from "../../support/index.ts";

const CHILD = { namespaces: ["user", "pid"], uidMap: [[0, 65534, 1]], gidMap: [[0, 65534, 1]], uid: 0, gid: 0 } as const; // prettier-ignore

test("NS-008 CAPS are attached inside one user namespace only", covers("NS-008"), async ({ bus, spawn }) => {
  const nobody = await spawn({ uid: 65534, gid: 65534, label: "nobody" });
  const child = await forkOf(nobody, { ...CHILD, label: "child-root" });
  const wanted = abi.ATTACH.CAPS | abi.ATTACH.CREDS;
  const [outside, inside] = [await bus.connect({ attachRecv: wanted }), await bus.connect({ by: child, attachRecv: wanted })];
  await openToWorld(bus, outside);
  const parent = await bus.connect({ by: nobody });

  await parent.send(inside);
  await inside.send(inside);
  await inside.send(outside);
  await parent.send(outside);

  expect((await inside.recvAll()).map(({ items }) => attached(items))).toEqual([["CREDS"], ["CAPS", "CREDS"]]);
  expect((await outside.recvAll()).map(({ items }) => attached(items))).toEqual([["CREDS"], ["CAPS", "CREDS"]]);
});
