import { covers, encodeCommand, expect, expectErrno, expectResult, item, test, type Bus, type Domain, type Process } from "../../support/index.ts";

const LIMIT = 16;

async function fill(domain: Domain, process: Process): Promise<Bus[]> {
  const buses: Bus[] = [];
  for (let count = 0; count < LIMIT; count++) buses.push(await domain.makeBus(process, { name: `quota${count}` }));
  return buses;
}

test("BUS-010 a seventeenth bus of a user gives EMFILE, and closing one makes room", covers("BUS-010"), async ({ domain, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const buses = await fill(domain, user);

  await expectErrno(domain.makeBus(user), "EMFILE");
  await buses[3]?.close();
  await domain.makeBus(user);
  await expectErrno(domain.makeBus(user), "EMFILE");
});

test("BUS-010 buses count for the real uid, whatever the effective one is", covers("BUS-010"), async ({ domain, spawn }) => {
  await fill(domain, await spawn({ uid: 1000, gid: 1000, label: "user" }));

  const sameReal = await spawn({ uid: { real: 1000, effective: 1001, saved: 1001 }, gid: 1000, label: "same real uid" });
  const sameEffective = await spawn({ uid: { real: 1001, effective: 1000, saved: 1000 }, gid: 1000, label: "same effective uid" });

  await expectErrno(domain.makeBus(sameReal), "EMFILE");
  await domain.makeBus(sameEffective);
});

test("BUS-010 the quota holds for root too", covers("BUS-010"), async ({ domain, root }) => {
  await fill(domain, root);

  await expectErrno(domain.makeBus(root), "EMFILE");
});

test("BUS-011 an existing name is told before a used up quota", covers("BUS-011"), async ({ domain, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const [first] = await fill(domain, user);

  expectResult(await user.command(await user.open(domain.control), "BUS_MAKE", encodeCommand("BUS_MAKE", {}, [item.makeName(first?.name ?? ""), item.bloomParameter(64, 1)])), "EEXIST");
});

test("BUS-012 the quota of one domain is not that of another", covers("BUS-012"), async ({ domain, mountDomain, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  await fill(domain, user);
  const other = await mountDomain();

  expect(await fill(other, user)).toHaveLength(LIMIT);
});
