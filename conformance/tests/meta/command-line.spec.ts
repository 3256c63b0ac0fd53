import { attached, attachFlags, abi, covers, expect, item, pageBeforeHole, test, writeMemory, type Process } from "../../support/index.ts";

const PR_SET_MM = { OPTION: 35, ARG_START: 8, ARG_END: 9 } as const;
const PAGE = 4096;

/** Makes memory of the process its argument area, as programs do that rename themselves. @returns the address of its page */
async function setArguments(process: Process, text: string): Promise<bigint> {
  const bytes = new TextEncoder().encode(text);
  const page = await pageBeforeHole(process);
  const at = page + BigInt(PAGE - bytes.length);
  await writeMemory(process, at, bytes);
  await process.must("prctl", PR_SET_MM.OPTION, PR_SET_MM.ARG_START, at, 0, 0);
  await process.must("prctl", PR_SET_MM.OPTION, PR_SET_MM.ARG_END, page + BigInt(PAGE), 0, 0);
  return page;
}

test("META-014 CMDLINE starts with the first argument", covers("META-014"), async ({ bus, root, agent }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CMDLINE });
  const sender = await bus.connect();

  await sender.send(receiver);
  await setArguments(root, "of another name\0and more\0");
  await sender.send(receiver);

  const [first, second] = (await receiver.recvAll()).map(({ metadata }) => metadata.cmdline?.[0]);
  const procfs = await agent.readText(`/proc/${agent.info.agentPid}/cmdline`);
  expect(first).toBe(procfs.split("\0")[0]);
  expect(second).toBe("of another name");
});

test("META-015 CMDLINE holds all arguments", covers("META-015"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CMDLINE });
  const sender = await bus.connect();
  await setArguments(root, "first\0second one\0\0third\0");

  await sender.send(receiver);

  expect((await receiver.recv()).metadata.cmdline).toEqual(["first", "second one", "", "third"]);
});

const DAMAGES = {
  "holds no NUL": async (process: Process): Promise<void> => void (await setArguments(process, "no end at all")),
  "is not mapped": async (process: Process): Promise<void> => {
    const page = await setArguments(process, "gone soon\0");
    await process.must("munmap", page, PAGE);
  },
};

for (const [damage, apply] of Object.entries(DAMAGES)) {
  test(`META-025 an argument area that ${damage} does not stop a message`, covers("META-025"), async ({ bus, root, spawn }) => {
    const receiver = await bus.connect({ by: await spawn({ label: "receiver" }), attachRecv: attachFlags(["CMDLINE", "CREDS"]) });
    const sender = await bus.connect();
    await receiver.addMatch([item.id(sender.id)]);
    await receiver.send(sender, { cookie: 77, expectReplyMs: 600_000 });
    const request = await sender.recv();
    await apply(root);

    await sender.send(receiver, { cookie: 1 });
    await sender.broadcast({ cookie: 2 });
    await sender.reply(request, { cookie: 3 });

    const messages = await receiver.recvAll();
    expect(messages.map((message) => message.header.cookie)).toEqual([1n, 2n, 3n]);
    for (const message of messages) {
      if (damage === "is not mapped") expect(attached(message.items)).toEqual(["CREDS"]);
      else expect([["CREDS"], ["CMDLINE", "CREDS"]]).toContainEqual(attached(message.items));
    }
  });
}

test("META-025 a strange argument area does not stop HELLO", covers("META-025"), async ({ bus, root }) => {
  const asker = await bus.connect();
  await setArguments(root, "no end at all");

  const connection = await bus.connect();

  expect((await asker.info(connection)).metadata.creds?.uid).toBe(0n);
});
