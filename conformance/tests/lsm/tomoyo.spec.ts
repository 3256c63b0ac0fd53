import { covers, expect, expectErrno, loadTomoyo, needs, payloadText, test, type Process } from "../../support/index.ts";

const CONFINED = "<kernel> /buslab/confined";
/** Numbers of profiles that the image leaves free. */
const [LEARNING, ENFORCING] = [200, 201];

async function profiles(agent: Parameters<typeof loadTomoyo>[0]): Promise<void> {
  await loadTomoyo(agent, "profile", [
    `${LEARNING}-COMMENT=buslab learns`,
    `${LEARNING}-CONFIG::file::ioctl={ mode=learning grant_log=no reject_log=yes }`,
    `${ENFORCING}-COMMENT=buslab enforces`,
    `${ENFORCING}-CONFIG::file::ioctl={ mode=enforcing grant_log=no reject_log=yes }`,
  ]);
}

const SELF = "/sys/kernel/security/tomoyo/self_domain";

/** Puts a running process into the domain of the tests; the domain it is in must allow that. */
async function enter(agent: Parameters<typeof loadTomoyo>[0], process: Process): Promise<void> {
  const own = await process.open(SELF, 0);
  const domain = new TextDecoder().decode(await process.read(own, 4096)).trim();
  await process.close(own);
  await loadTomoyo(agent, "domain", [domain, `task manual_domain_transition ${CONFINED}`]);
  const fd = await process.open(SELF, 1);
  await process.write(fd, CONFINED);
  await process.close(fd);
}

test("LSM-004 TOMOYO: a command without an ioctl entry fails once the profile enforces", covers("LSM-004"), async ({ bus, spawn, agent }) => {
  await needs(agent, "tomoyo");
  await profiles(agent);
  await loadTomoyo(agent, "domain", [CONFINED, `use_profile ${LEARNING}`]);
  const receiver = await bus.connect();
  const process = await spawn({ label: "confined" });
  await enter(agent, process);

  // What is learnt is allowed later, by the very path that the kernel gives the node: HELLO, and FREE for nothing.
  const first = await bus.connect({ by: process });
  expect(await agent.readText("/sys/kernel/security/tomoyo/domain_policy"), "HELLO was learnt").toMatch(/file ioctl \S*bus 0xC0\w+80/i);
  await loadTomoyo(agent, "domain", [CONFINED, `use_profile ${ENFORCING}`]);

  await expectErrno(first.send(receiver, { payload: "not learnt" }), "EPERM");
  await bus.connect({ by: process });
  await expectErrno(receiver.recv(), "EAGAIN");

  await loadTomoyo(agent, "domain", [CONFINED, `use_profile ${LEARNING}`]);
  await first.send(receiver, { payload: "learnt now" });
  expect(payloadText(await receiver.recv())).toBe("learnt now");
});
