import { abi, covers, decodeMessage, decodeStruct, encodeCommand, encodeMessage, expect, item, NARROW_ISAS, NarrowProgram, payloadText, test, unsupported } from "../../support/index.ts";

/** System call numbers, alike on i386 and arm. */
const NR = { write: 4, open: 5, ioctl: 54, mmap2: 192 } as const;
const O = { RDWR: 2, CREAT: 0o100 } as const;
const POOL = 65536;

test("ABI-005 a 32-bit process uses every command with the same numbers and layouts", covers("ABI-005"), async ({ domain, agent }) => {
  const isa = NARROW_ISAS[agent.arch];
  if (isa === undefined) return unsupported("a 32-bit program for this architecture");
  const p = new NarrowProgram(isa);
  const done: Record<string, number> = {};
  const open = (path: string): number => p.call(NR.open, p.data(path), O.RDWR, 0);
  const ioctl = (fd: number, name: abi.CommandName, at: number): void => {
    done[name] = p.call(NR.ioctl, { result: fd }, abi.COMMANDS[name], at);
  };
  const put = (encoded: { readonly bytes: Uint8Array }): number => p.data(encoded.bytes);
  const path = `${domain.path}/0-narrow`;

  const control = open(domain.control);
  ioctl(control, "BUS_MAKE", put(encodeCommand("BUS_MAKE", { flags: abi.MAKE.ACCESS_WORLD }, [item.makeName("0-narrow"), item.bloomParameter(64, 3)])));
  const owner = open(`${path}/bus`);
  ioctl(owner, "ENDPOINT_MAKE", put(encodeCommand("ENDPOINT_MAKE", {}, [item.makeName("0-extra")])));
  ioctl(owner, "ENDPOINT_UPDATE", put(encodeCommand("ENDPOINT_UPDATE", {}, [item.name("a.b"), item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.SEE)])));
  const fd = open(`${path}/bus`);
  const hello = put(encodeCommand("HELLO", { pool_size: POOL, attach_flags_send: abi.ATTACH_ALL, attach_flags_recv: abi.ATTACH.CREDS }, [item.description("narrow")]));
  ioctl(fd, "HELLO", hello);
  const pool = p.call(NR.mmap2, 0, POOL, 1, 1, { result: fd }, 0);
  ioctl(fd, "NAME_ACQUIRE", put(encodeCommand("NAME_ACQUIRE", {}, [item.name("narrow.name")])));
  ioctl(fd, "UPDATE", put(encodeCommand("UPDATE", {}, [item.attachFlagsRecv(abi.ATTACH.CREDS)])));
  ioctl(fd, "MATCH_ADD", put(encodeCommand("MATCH_ADD", { cookie: 3 }, [item.name("narrow.name")])));
  const list = put(encodeCommand("LIST", { flags: abi.LIST.UNIQUE | abi.LIST.NAMES }));
  ioctl(fd, "LIST", list);
  const info = put(encodeCommand("CONN_INFO", { attach_flags: abi.ATTACH.CREDS }, [item.name("narrow.name")]));
  ioctl(fd, "CONN_INFO", info);
  const creator = put(encodeCommand("BUS_CREATOR_INFO", {}));
  ioctl(fd, "BUS_CREATOR_INFO", creator);
  const text = p.data("hello from 32 bits");
  const message = put(encodeMessage({ payload_type: abi.PAYLOAD.DBUS, cookie: 0x0102_0304_0506_0708n }, [item.dstName("narrow.name"), item.vec(text, 18)]));
  ioctl(fd, "SEND", put(encodeCommand("SEND", { msg_address: message })));
  const recv = put(encodeCommand("RECV", {}));
  ioctl(fd, "RECV", recv);
  // the message goes through a file, since its place in the pool is known only now
  const file = p.call(NR.open, p.data("/run/narrow.slice"), O.RDWR | O.CREAT, 0o600);
  const copied = p.call(NR.write, { result: file }, { sum: [{ result: pool }, { word: recv + 40 }] }, { word: recv + 48 });
  const free = put(encodeCommand("FREE", {}));
  p.copy(recv + 40, free + 24);
  ioctl(fd, "FREE", free);
  ioctl(fd, "MATCH_REMOVE", put(encodeCommand("MATCH_REMOVE", { cookie: 3 })));
  ioctl(fd, "NAME_RELEASE", put(encodeCommand("NAME_RELEASE", {}, [item.name("narrow.name")])));
  ioctl(fd, "BYEBYE", put(encodeCommand("BYEBYE", {})));
  const ran = await p.run(agent);
  if (ran === undefined) return unsupported("32-bit programs in the kernel (CONFIG_IA32_EMULATION, CONFIG_COMPAT)");

  const returned = Object.fromEntries(Object.entries(done).map(([name, call]) => [name, ran.results[call]]));
  expect(returned, "what each ioctl returned").toEqual(Object.fromEntries(abi.COMMAND_NAMES.map((name) => [name, 0])));
  const after = decodeStruct("cmd_hello", ran.bytes(hello, 96));
  expect(after).toMatchObject({ items_size: 32n, bus_flags: abi.MAKE.ACCESS_WORLD, attach_flags_recv: abi.ATTACH.CREDS });
  expect(decodeStruct("cmd_list", ran.bytes(list, 40)).list_size).toBeGreaterThan(24n);
  expect(decodeStruct("cmd_info", ran.bytes(info, 56)).info_size).toBe(24n + 16n + 64n);
  expect(decodeStruct("cmd_info", ran.bytes(creator, 56)).info_size).toBeGreaterThan(24n);
  const slice = new Uint8Array(await agent.readFile("/run/narrow.slice"));
  expect(slice).toHaveLength(ran.results[copied] ?? -1);
  const got = decodeMessage(slice);
  expect(got.header).toMatchObject({ cookie: 0x0102_0304_0506_0708n, src_id: after.id });
  expect(payloadText(got)).toBe("hello from 32 bits");
  expect(got.metadata.creds).toMatchObject({ uid: 0n, euid: 0n });
});
