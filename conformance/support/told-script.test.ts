import assert from "node:assert/strict";
import test, { after } from "node:test";
import * as abi from "../../fixtures/abi/constants.ts";
import { encodeCommand, encodeMessage, item } from "../../fixtures/abi/encode.ts";
import { HostAgent } from "./host-agent.ts";
import { address, memory } from "./memory.ts";
import { Process } from "./process.ts";
import { ToldScript } from "./told-script.ts";
import { together } from "./traffic.ts";
import { Transcript } from "./transcript.ts";

const host = await HostAgent.start();
const agent = await host.connect();
after(async () => {
  await agent.close();
  await host[Symbol.asyncDispose]();
});

async function make(transcript: Transcript): Promise<Process> {
  return new Process(await agent.spawnPeer({}), transcript, "p", {});
}

test("the steps of a script are told as commands, with what the message held", async () => {
  const transcript = new Transcript();
  const process = await make(transcript);
  const script = new ToldScript();
  const message = memory(encodeMessage({ dst_id: 7, cookie: 42, payload_type: abi.PAYLOAD.DBUS }));
  script.ioctl(999, abi.COMMANDS.SEND, memory(encodeCommand("SEND", { msg_address: address(message) })));
  script.ioctl(999, abi.COMMANDS.NAME_ACQUIRE, memory(encodeCommand("NAME_ACQUIRE", { flags: 4n }, [item.name("a.b")])));

  await process.run(script);

  assert.match(transcript.toString(), /descriptor 999: SEND.*cookie 42.*\n +-> EBADF/);
  assert.match(transcript.toString(), /descriptor 999: NAME_ACQUIRE flags QUEUE.*a\.b.*\n +-> EBADF/);
});

test("a loop is one line with how often each outcome came", async () => {
  const transcript = new Transcript();
  const process = await make(transcript);
  const script = new ToldScript();
  script.repeat(50, () => script.ioctl(999, abi.COMMANDS.RECV, memory(encodeCommand("RECV", {}))));

  await process.run(script);

  assert.match(transcript.toString(), /in a loop, as first built: descriptor 999: RECV\n +-> 50 times EBADF/);
  assert.equal(transcript.toString().split("\n").length, 2);
});

test("scripts that run together are told as well", async () => {
  const transcript = new Transcript();
  const processes = [await make(transcript), await make(transcript)];

  await together(0, processes.map((process) => ({ process, build: (script) => void script.syscall("getpid") })));

  assert.equal(transcript.toString().match(/getpid\n/g)?.length, 2);
});
