import { abi, covers, expect, item, payloadText, test, unsupported } from "../../support/index.ts";

/** Whoever sees an endpoint reaches everybody behind it: namespaces other than those of users, pids and mounts do not matter. */
for (const kind of ["uts", "ipc", "net", "cgroup"] as const) {
  test(`MSG-001 a connection in another ${kind} namespace is reached, by number, name and broadcast, and reaches others`, covers("MSG-001"), async ({ bus, spawn, agent }) => {
    const there = await spawn({ namespaces: [kind], label: "there" });
    const namespaceOf = async (pid: number | "self"): Promise<string> => (await agent.exec(["readlink", `/proc/${pid}/ns/${kind}`])).stdout.trim();
    expect(await namespaceOf(there.peer.pid)).not.toBe(await namespaceOf("self"));
    const [inside, outside] = [await bus.connect({ by: there }), await bus.connect()];
    await inside.acquire("test.inside");
    await outside.acquire("test.outside");
    await inside.addMatch([item.id(outside.id)]);
    await outside.addMatch([item.id(inside.id)]);

    for (const [from, to, name] of [
      [inside, outside, "test.outside"],
      [outside, inside, "test.inside"],
    ] as const) {
      await from.send(to, { payload: "by number" });
      await from.send(name, { payload: "by name" });
      await from.broadcast({ payload: "to all" });

      const received = await to.recvAll();
      expect(received.map((message) => [message.header.src_id, payloadText(message)])).toEqual([[from.id, "by number"], [from.id, "by name"], [from.id, "to all"]]); // prettier-ignore
    }
  });
}

test("META-016 CGROUP is not translated: the path of the sender from the root of the hierarchy, whatever cgroup namespaces the two are in", covers("META-016"), async ({ bus, spawn, agent }) => {
  const made = await agent.exec(["mkdir", "-p", "/sys/fs/cgroup/ns/inner"]);
  if (made.exitCode !== 0) unsupported("the unified cgroup hierarchy");
  const plain = await spawn({ cgroup: "ns/inner", label: "plain" });
  const rooted = await spawn({ cgroup: "ns/inner", namespaces: ["cgroup"], label: "rooted" });
  const above = await spawn({ cgroup: "ns", namespaces: ["cgroup"], label: "above" });
  // as everybody else sees it, and as it sees itself
  for (const { peer } of [plain, rooted]) expect(await agent.readText(`/proc/${peer.pid}/cgroup`)).toContain("0::/ns/inner\n");
  const receivers = [await bus.connect({ attachRecv: abi.ATTACH.CGROUP }), await bus.connect({ by: above, attachRecv: abi.ATTACH.CGROUP }), await bus.connect({ by: rooted, attachRecv: abi.ATTACH.CGROUP })];

  for (const sender of [await bus.connect({ by: plain }), await bus.connect({ by: rooted })]) for (const receiver of receivers) await sender.send(receiver);

  for (const receiver of receivers) expect((await receiver.recvAll()).map(({ metadata }) => metadata.cgroup)).toEqual(["/ns/inner", "/ns/inner"]);
});
