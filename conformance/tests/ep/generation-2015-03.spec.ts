import { abi, covers, expect, expectErrno, grant, heard, idRules, item, test, watch } from "../../support/index.ts";

for (const policy of ["nothing", "everything"] as const) {
  test(`EP-024 ID_ADD and ID_REMOVE do not come through a custom endpoint that shows ${policy}`, covers("EP-024"), async ({ bus }) => {
    const endpoint = await bus.makeEndpoint();
    if (policy === "everything") await endpoint.update([item.name("test.name"), grant.world(abi.POLICY.OWN)]);
    const [inside, outside] = [await endpoint.connect(), await bus.connect()];
    for (const listener of [inside, outside]) await watch(listener, idRules());

    const [other, neighbour] = [await bus.connect(), await endpoint.connect()];
    for (const connection of [other, neighbour]) await connection.close();

    await expectErrno(inside.recv(), "EAGAIN");
    const ids = [other.id, neighbour.id];
    expect((await heard(outside)).map((note) => [note.kind, "id" in note ? note.id : 0n])).toEqual([...ids.map((id) => ["ID_ADD", id]), ...ids.map((id) => ["ID_REMOVE", id])]);
  });
}
