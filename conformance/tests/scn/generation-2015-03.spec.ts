import { abi, covers, expect, grant, item, test } from "../../support/index.ts";

test("SCN-025 an application is not told who comes and goes", covers("SCN-025"), async ({ bus, spawn }) => {
  const service = await bus.connect();
  await service.acquire("org.example.Allowed");
  const endpoint = await bus.makeEndpoint({ name: "app" });
  await endpoint.update([item.name("org.example.Allowed"), grant.world(abi.POLICY.TALK)]);
  const application = await endpoint.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "application" }) });
  await application.addMatch();
  await service.addMatch();

  const visitor = await bus.connect();
  await visitor.close();
  await service.release("org.example.Allowed");
  await service.acquire("org.example.Allowed");

  expect((await application.recvAll()).map(({ notification }) => notification?.kind)).toEqual(["NAME_REMOVE", "NAME_ADD"]);
  expect((await service.recvAll()).map(({ notification }) => notification?.kind)).toEqual(["ID_ADD", "ID_REMOVE", "NAME_REMOVE", "NAME_ADD"]);
});
