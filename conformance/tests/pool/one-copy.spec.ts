import { abi, address, allocatedBytes, covers, encodeCommand, expect, expectResult, item, KernelTrace, memory, payloadBytes, prepareSend, resultOf, Script, SEALS, stat, test, unsupported, words, type Process } from "../../support/index.ts";

const F_ADD_SEALS = 1033;

/** A sealed memfd of that size without content of its own. */
async function sparseMemfd(process: Process, size: number): Promise<number> {
  const fd = await process.memfd("x", { seals: 0 });
  await process.must("ftruncate", fd, size);
  await process.must("fcntl", fd, F_ADD_SEALS, SEALS.ALL);
  return fd;
}

test("POOL-024 a memfd travels as the file it is", covers("POOL-024"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("0123456789");

  await sender.send(receiver, { payload: [item.memfd(memfd, 0, 10)] });

  const [chunk] = (await receiver.recv()).payload;
  expect(chunk?.kind).toBe("memfd");
  const there = chunk?.kind === "memfd" ? chunk.fd : -1;
  expect(there).not.toBe(memfd);
  const [sent, received] = [await stat(root, memfd), await stat(root, there)];
  expect([received.device, received.ino, received.size]).toEqual([sent.device, sent.ino, sent.size]);
});

test("POOL-024 the size of a memfd takes no room in the pool", covers("POOL-024"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const sizes = [];
  for (const size of [4096, 64 << 20]) {
    await sender.send(receiver, { payload: [item.memfd(await sparseMemfd(root, size), 0, size)] });
    const { msgSize, payload } = await receiver.recv();
    expect(payload.map((chunk) => chunk.kind === "memfd" && chunk.size)).toEqual([BigInt(size)]);
    sizes.push(msgSize);
  }

  expect(sizes[1]).toBe(sizes[0]);
});

test("POOL-021 SEND allocates no memory in proportion to the payload", covers("POOL-021"), async ({ bus, root, agent }) => {
  const LARGE = 2 << 20;
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 16 << 20 })];
  const trace = await KernelTrace.of(agent, root, ["kmem/kmalloc", "kmem/kmem_cache_alloc", "kmem/mm_page_alloc"]);
  const source = await root.memfd(new Uint8Array(1), { seals: 0 });
  await root.must("ftruncate", source, LARGE);
  const mapping = new Script();
  const map = mapping.map(source, LARGE, root.peer.reserve(0));
  const at = BigInt.asUintN(64, (await root.run(mapping)).of(map).value);
  const [recv, free] = [memory(encodeCommand("RECV", {})), memory(encodeCommand("FREE", {}))];

  const measure = async (size: number): Promise<number> => {
    const send = await prepareSend(sender, receiver, { items: [item.vec(at, size)] });
    await trace.clear();
    const script = new Script();
    const calls: ReturnType<Script["ioctl"]>[] = [];
    // three rounds warm the pool, the last SEND is looked at
    for (let round = 0; round < 4; round++) {
      if (round === 3) trace.around(script, () => void calls.push(send.step(script).call));
      else calls.push(send.step(script).call);
      calls.push(script.ioctl(receiver.fd, abi.COMMANDS.RECV, recv));
      script.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
      calls.push(script.ioctl(receiver.fd, abi.COMMANDS.FREE, free));
    }
    const result = await root.run(script);
    for (const call of calls) expectResult(result.of(call), null);
    return allocatedBytes(await trace.lines());
  };
  await measure(LARGE); // the pool's pages are there from now on
  const [small, large] = [await measure(64 << 10), await measure(LARGE)];

  // a SEND allocates at least its queue entry; a trace that shows nothing at all did not look
  expect(small, "bytes allocated for 64 KiB").toBeGreaterThan(0);
  expect(large - small, "bytes allocated for 2 MiB beyond those for 64 KiB").toBeLessThanOrEqual(64 << 10);
});

test("POOL-025 SEND writes into the frames of the pool and leaves those of the source", covers("POOL-025"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 1 << 18 })];
  const pagemap = await root.open("/proc/self/pagemap", 0o2000000);
  const content = memory("w".repeat(20_000), "payload");
  const frames = async (start: bigint, count: number): Promise<bigint[]> => {
    await root.readMemory(start, count * 4096); // present in the page table
    const bytes = await root.readAt(pagemap, Number(start >> 12n) * 8, count * 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Array.from({ length: bytes.length / 8 }, (_, index) => view.getBigUint64(index * 8, true) & ((1n << 55n) - 1n));
  };
  const source = memory("p".repeat(20_000), "payload");
  await sender.send(receiver, { items: [item.vec(address(content), content.size)] });
  const first = await receiver.recv();
  const page = receiver.pool + (first.offset & ~4095n);
  const before = await frames(page, 4);
  if (before.every((frame) => frame === 0n)) unsupported("page frame numbers in /proc/self/pagemap");

  await sender.send(receiver, { items: [item.vec(address(source), source.size)] });
  const second = await receiver.recv();

  expect(payloadBytes(second)).toEqual(new Uint8Array(20_000).fill("p".charCodeAt(0)));
  expect(await frames(page, 4)).toEqual(before);
});

/** Loops that copy read ahead of what they write, on arm64 by 64 bytes: so much of a page may still be in registers when the next one is asked for. */
const READ_AHEAD = 256;

const UFFD = { API: 0xc018aa3f, REGISTER: 0xc020aa00, COPY: 0xc028aa03 } as const;

test("POOL-022 pages of the payload are in the pool while later ones are still missing", covers("POOL-022"), async ({ bus, root }) => {
  const PAGES = 4;
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 1 << 18 })];
  const { value, errno } = await root.syscall("userfaultfd", 0o2000000);
  if (errno !== null) unsupported("userfaultfd for user space");
  const uffd = Number(value);
  const setUp = new Script();
  const map = setUp.map(-1, PAGES * 4096, root.peer.reserve(0), { protection: 3, flags: 0x22 });
  setUp.ioctl(uffd, UFFD.API, memory(words(8, [0xaa, 0, 0])));
  const register = setUp.ioctl(uffd, UFFD.REGISTER, memory(words(8, [resultOf(map), PAGES * 4096, 1, 0])));
  const prepared = await root.run(setUp);
  expectResult(prepared.of(register), null);
  const source = BigInt.asUintN(64, prepared.of(map).value);
  const content = Array.from({ length: PAGES }, (_, page) => Uint8Array.from({ length: 4096 }, (__, index) => (index * 7 + (index >> 8) * 31 + page * 101 + 1) % 256));

  const sending = new Script();
  const send = (await prepareSend(sender, receiver, { items: [item.vec(source, PAGES * 4096)] })).step(sending);
  const pending = await root.start(sending);
  const handler = new Script();
  const views = content.map((bytes, page) => {
    handler.program.poll(uffd, 0x1, 5000);
    handler.syscall("read", uffd, memory(32), 32);
    const view = handler.loadSlice(receiver.pool, 0, receiver.poolSize);
    handler.ioctl(uffd, UFFD.COPY, memory(words(8, [source + BigInt(page * 4096), address(memory(bytes)), 4096, 0, 0])));
    return view;
  });
  const handled = await root.run(handler);
  expectResult((await pending.done).of(send.call), null);

  expect(payloadBytes(await receiver.recv())).toEqual(Uint8Array.from(content.flatMap((bytes) => [...bytes])));
  // whoever gathers the payload first, or pins it, copies no less and no more often: then this proves nothing
  const early = views.map((view, page) => page === 0 || Buffer.from(handled.bytes(view)).indexOf((content[page - 1] as Uint8Array).subarray(0, -READ_AHEAD)) >= 0);
  if (early.includes(false)) unsupported("a kernel that copies page by page");
});
