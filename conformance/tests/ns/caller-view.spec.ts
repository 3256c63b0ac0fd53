import { attachFlags, covers, expect, forkOf, test } from "../../support/index.ts";

/** A child user and pid namespace made by uid 65534; nobody of the parent is mapped in it. */
const CHILD = { namespaces: ["user", "pid"], uidMap: [[0, 65534, 1]], gidMap: [[0, 65534, 1]], uid: 0, gid: 0 } as const; // prettier-ignore

test("NS-020 the view is that of the task that calls RECV", covers("NS-020"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: attachFlags(["CREDS", "PIDS"]) });
  const child = await forkOf(root, { ...CHILD, label: "child" });
  const there = await receiver.usedBy(child, receiver.fd);
  const sender = await bus.connect();

  await sender.send(receiver);
  await sender.send(receiver);

  const [inside, outside] = [(await there.recv()).metadata, (await receiver.recv()).metadata];
  expect([inside.creds?.uid, inside.pids]).toEqual([65534n, { pid: 0n, tid: 0n, ppid: 0n }]);
  expect([outside.creds?.uid, outside.pids?.pid]).toEqual([0n, BigInt(root.peer.pid)]);
});
