import { abi, attachFlags, covers, expect, forkOf, grant, taskStatus, test, type Connection, type Endpoint, type Process, type Spawn } from "../../support/index.ts";

const CLONE_NEWUSER = 0x1000_0000;
const O_WRONLY = 1;

/** A user namespace made by uid 65534, its root; uid 7 and gid 5 inside are 2000 outside. */
const OUTER = { namespaces: ["user"], uidMap: [[0, 65534, 1], [7, 2000, 1]], gidMap: [[0, 65534, 1], [5, 2000, 1]], uid: 0, gid: 0 } as const; // prettier-ignore

/** The outer namespace's root, and the root of a namespace inside of it, which uid 7 there made and which maps that uid only. */
async function nested(spawn: Spawn): Promise<{ readonly outer: Process; readonly inner: Process }> {
  const outer = await forkOf(await spawn({ uid: 65534, gid: 65534, label: "nobody" }), { ...OUTER, label: "outer" });
  const inner = await forkOf(outer, { uid: 7, gid: 5, label: "inner" });
  await inner.must("unshare", CLONE_NEWUSER);
  // only the namespace around it may write its maps
  for (const [file, line] of [
    ["uid_map", "0 7 1"],
    ["gid_map", "0 5 1"],
  ] as const) {
    const fd = await outer.open(`/proc/${inner.peer.pid}/${file}`, O_WRONLY);
    await outer.write(fd, line);
    await outer.close(fd);
  }
  return { outer, inner };
}

/** Anybody may talk to the owner of a name that anybody may own. */
async function openToAll(bus: Endpoint, connections: readonly Connection[]): Promise<void> {
  for (const [index, connection] of connections.entries()) {
    await bus.connectPolicyHolder(`open.to.all${index}`, [grant.world(abi.POLICY.OWN)]);
    await connection.acquire(`open.to.all${index}`);
  }
}

test("NS-004 ids are translated through all namespaces on the way, and those without a mapping in one of them are overflow ids", covers("NS-004", "NS-005"), async ({ bus, spawn }) => {
  const { outer, inner } = await nested(spawn);
  const user = await spawn({ uid: 2000, gid: 2000, label: "user" });
  const receivers = [await bus.connect({ attachRecv: abi.ATTACH.CREDS }), await bus.connect({ by: outer, attachRecv: abi.ATTACH.CREDS }), await bus.connect({ by: inner, attachRecv: abi.ATTACH.CREDS })];
  await openToAll(bus, receivers);

  for (const by of [inner, user, outer]) {
    const sender = await bus.connect({ by });
    for (const receiver of receivers) await sender.send(receiver);
  }

  const seen = [];
  for (const receiver of receivers) seen.push((await receiver.recvAll()).map(({ metadata }) => [metadata.creds?.euid, metadata.creds?.egid]));
  const [whole, around, inside] = seen;
  expect(whole, "from the initial namespace: inner, user, outer").toEqual([[2000n, 2000n], [2000n, 2000n], [65534n, 65534n]]); // prettier-ignore
  expect(around, "from the outer one").toEqual([[7n, 5n], [7n, 5n], [0n, 0n]]); // prettier-ignore
  expect(inside, "from the inner one, which has no number for the outer's root").toEqual([[0n, 0n], [0n, 0n], [65534n, 65534n]]); // prettier-ignore
});

test("NS-017 who made the namespace next below the sender's counts, not who made the receiver's", covers("NS-017"), async ({ bus, spawn, agent }) => {
  const { outer, inner } = await nested(spawn);
  const receiver = await bus.connect({ by: inner, attachRecv: attachFlags(["CAPS", "CREDS"]) });
  await openToAll(bus, [receiver]);
  const [nobody, user, seven] = [await spawn({ uid: 65534, gid: 65534, label: "maker" }), await spawn({ uid: 2000, gid: 2000, label: "user" }), await forkOf(outer, { uid: 7, gid: 5, label: "seven" })];
  const last = BigInt(await agent.readText("/proc/sys/kernel/cap_last_cap"));
  const all = (1n << (last + 1n)) - 1n;
  const full = { lastCap: Number(last), inheritable: 0n, permitted: all, effective: all, bounding: all };
  const own = async (process: Process): Promise<unknown> => ({ lastCap: Number(last), ...(await taskStatus(agent, process)).caps });

  for (const by of [nobody, user, outer, seven]) await (await bus.connect({ by })).send(receiver);

  const [maker, other, root, second] = (await receiver.recvAll()).map(({ metadata }) => metadata.caps);
  expect(maker, "it made the outer namespace").toEqual(full);
  expect(other, "it made none, though its number made the inner one").toEqual(await own(user));
  expect(root, "in the outer namespace, of which it made none").toEqual(await own(outer));
  expect(second, "in the outer namespace it made the inner one").toEqual(full);
});

test("NS-018 capabilities inside a nested namespace are nothing for any namespace around it", covers("NS-018"), async ({ bus, spawn, agent }) => {
  const { outer, inner } = await nested(spawn);
  const receivers = [await bus.connect({ attachRecv: abi.ATTACH.CAPS }), await bus.connect({ by: outer, attachRecv: abi.ATTACH.CAPS })];
  await openToAll(bus, receivers);
  const sender = await bus.connect({ by: inner });

  for (const receiver of receivers) await sender.send(receiver);

  for (const receiver of receivers) expect((await receiver.recv()).metadata.caps).toMatchObject({ inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n });
  expect((await taskStatus(agent, inner)).caps.effective, "inside it has some").not.toBe(0n);
});
