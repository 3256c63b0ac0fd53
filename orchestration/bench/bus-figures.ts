import * as abi from "../../fixtures/abi/constants.ts";
import { encodeCommand, item } from "../../fixtures/abi/encode.ts";
import type { Domain } from "../../conformance/support/bus.ts";
import type { Connection } from "../../conformance/support/connection.ts";
import { BusError } from "../../conformance/support/errno.ts";
import { POLLIN } from "../../conformance/support/handle.ts";
import { memory } from "../../conformance/support/memory.ts";
import type { Process } from "../../conformance/support/process.ts";
import { Script } from "../../conformance/support/script.ts";
import { prepareSend } from "../../conformance/support/traffic.ts";
import { median, timed, type Figure } from "./figures.ts";
import { timePair, timeTurns, type Body } from "./guest-loop.ts";

/** Enough that one clock tick of a busy host is noise, and a round takes well under a second under emulation. */
const TURNS = 500;
/** Rounds of the kinds to compare alternate, so that a host that slows down slows all of them. */
const ROUNDS = 7;
const PAYLOAD_BYTES = 64;
/** Offset of msg_info in cmd_recv and in cmd_send, and of the offset in cmd_free. */
const AT = { received: 40, replied: 32, freed: 24 } as const;
/** No call of a benchmark may time out in the bus: the program's own limit comes first. */
const NEVER_MS = 3_600_000;

/** Operations a second from loops in the guest, each beside a loop of as many getppid calls. */
export async function operations(process: Process, domain: Domain, limitMs: number): Promise<Figure[]> {
  const bus = await domain.makeBus(process, { name: "bench-operations" });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const send = await prepareSend(sender, receiver, { cookie: 1, payload: new Uint8Array(PAYLOAD_BYTES).fill(0x61) });
  const [recv, free] = [memory(encodeCommand("RECV", {})), memory(encodeCommand("FREE", {}))];
  const name = memory(encodeCommand("NAME_ACQUIRE", {}, [item.name("bench.name")]));
  const message: Body = (script, must) => {
    must(send.step(script).call);
    must(script.ioctl(receiver.fd, abi.COMMANDS.RECV, recv));
    script.copy({ memory: recv, at: AT.received }, { memory: free, at: AT.freed });
    must(script.ioctl(receiver.fd, abi.COMMANDS.FREE, free));
  };
  const names: Body = (script, must) => {
    must(script.ioctl(sender.fd, abi.COMMANDS.NAME_ACQUIRE, name));
    must(script.ioctl(sender.fd, abi.COMMANDS.NAME_RELEASE, name));
  };
  const plain: Body = (script, must) => must(script.syscall("getppid"));

  for (const body of [message, names, plain]) await timeTurns(process, 20, body, limitMs); // pool pages, translated code
  const rounds: { message: number; names: number; plain: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push({
      message: (await timeTurns(process, TURNS, message, limitMs)) / 3,
      names: (await timeTurns(process, TURNS, names, limitMs)) / 2,
      plain: await timeTurns(process, TURNS, plain, limitMs),
    });
  }
  await bus.close();
  const perSecond = (ns: readonly number[]): number => 1e9 / median(ns);
  const beside = (own: "message" | "names"): { what: string; ratio: number } => ({ what: "getppid, a call", ratio: median(rounds.map((round) => round[own] / round.plain)) });
  return [
    timed("getppid in a guest loop", perSecond(rounds.map((round) => round.plain)), "calls/s"),
    timed(`bus operations in a guest loop, SEND RECV FREE of ${PAYLOAD_BYTES} B`, perSecond(rounds.map((round) => round.message)), "operations/s", beside("message")),
    timed("bus operations in a guest loop, NAME_ACQUIRE NAME_RELEASE", perSecond(rounds.map((round) => round.names)), "operations/s", beside("names")),
  ];
}

/** A synchronous call and its answer between two processes, beside the same over a pair of AF_UNIX seqpacket sockets. */
export async function roundTrip(client: Process, server: Process, domain: Domain, limitMs: number): Promise<Figure[]> {
  const bus = await domain.makeBus(client, { name: "bench-round-trip" });
  const call = await callLoops(await bus.connect(), await bus.connect({ by: server }), limitMs);
  const socket = await socketLoops(client, server);
  const rounds: { call: number; socket: number }[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const measured = { call: await timePair(client, server, TURNS, call, limitMs), socket: await timePair(client, server, TURNS, socket, limitMs) };
    if (round > 0) rounds.push(measured); // the first one warms
  }
  await bus.close();
  const ratio = median(rounds.map((round) => round.call / round.socket));
  return [
    timed(`AF_UNIX seqpacket round trip of ${PAYLOAD_BYTES} B, two processes`, median(rounds.map((round) => round.socket)) / 1000, "us"),
    timed(`synchronous kdbus round trip of ${PAYLOAD_BYTES} B, two processes`, median(rounds.map((round) => round.call)) / 1000, "us", { what: "AF_UNIX seqpacket", ratio }),
  ];
}

interface Pair {
  readonly client: Body;
  readonly server: Body;
}

async function callLoops(client: Connection, server: Connection, limitMs: number): Promise<Pair> {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x61);
  // A cookie may be used again once its call is answered, so both messages are encoded once.
  const call = await prepareSend(client, server, { cookie: 1, payload, expectReplyMs: NEVER_MS, sendFlags: abi.SEND.SYNC_REPLY });
  const answer = await prepareSend(server, client, { cookie: 1, payload, cookieReply: 1 });
  const recv = memory(encodeCommand("RECV", {}));
  const [clientFree, serverFree] = [memory(encodeCommand("FREE", {})), memory(encodeCommand("FREE", {}))];
  return {
    client: (script, must) => {
      const { call: sent, command } = call.step(script);
      must(sent);
      script.copy({ memory: command, at: AT.replied }, { memory: clientFree, at: AT.freed });
      must(script.ioctl(client.fd, abi.COMMANDS.FREE, clientFree));
    },
    server: (script, must) => {
      script.program.poll(server.fd, POLLIN, limitMs);
      must(script.ioctl(server.fd, abi.COMMANDS.RECV, recv));
      script.copy({ memory: recv, at: AT.received }, { memory: serverFree, at: AT.freed });
      must(answer.step(script).call);
      must(script.ioctl(server.fd, abi.COMMANDS.FREE, serverFree));
    },
  };
}

async function socketLoops(client: Process, server: Process): Promise<Pair> {
  const [near, far] = await socketPair(client);
  const there = await client.giveFd(far, server);
  await client.close(far);
  const swap = (fd: number, ...order: readonly ("read" | "write")[]): Body => {
    const buffer = memory(new Uint8Array(PAYLOAD_BYTES).fill(0x61));
    return (script, must) => {
      for (const name of order) must(script.syscall(name, fd, buffer, PAYLOAD_BYTES));
    };
  };
  return { client: swap(near, "write", "read"), server: swap(there, "read", "write") };
}

/** The two descriptors of an AF_UNIX seqpacket pair. */
async function socketPair(process: Process): Promise<[number, number]> {
  const [AF_UNIX, SOCK_SEQPACKET] = [1, 5];
  const fds = memory(8);
  const script = new Script();
  const call = script.syscall("socketpair", AF_UNIX, SOCK_SEQPACKET, 0, fds);
  const after = script.load(fds);
  const result = await process.run(script);
  const { errno } = result.of(call);
  if (errno !== null) throw new BusError("socketpair", errno);
  const view = new DataView(result.bytes(after).buffer);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}
