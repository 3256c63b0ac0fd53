import type { Requirement } from "./requirement.ts";

/** Requirements on the pool. */
export const POOL = [
  {
    id: "POOL-001", level: "must", source: "kdbus.pool(7)",
    text: "mmap() of a connected descriptor with PROT_READ and the full pool size succeeds for MAP_SHARED and MAP_PRIVATE.",
    verify: "two mappings",
  },
  {
    id: "POOL-002", level: "must", source: "upstream selftests",
    text: "mmap() with PROT_WRITE of a descriptor opened read-write fails with EPERM, for MAP_SHARED and MAP_PRIVATE alike.",
    verify: "open the endpoint with O_RDWR; a read-only descriptor gives EACCES for MAP_SHARED before kdbus is asked",
  },
  {
    id: "POOL-003", level: "must", source: "upstream selftests",
    text: "mprotect() adding PROT_WRITE to a pool mapping fails with EACCES.",
    verify: "mprotect on an existing mapping",
  },
  {
    id: "POOL-004", level: "must", source: "implementation",
    text: "mmap() with a length of more pages than the pool has fails with EFAULT.",
    verify: "length pool_size plus one page",
  },
  {
    id: "POOL-005", level: "must", source: "kdbus.pool(7)",
    text: "mmap() of a part of the pool at a page-aligned offset shows the same bytes as the full mapping at that offset.",
    verify: "map the page of a received slice only",
  },
  {
    id: "POOL-006", level: "must", source: "implementation",
    text: "mmap() of an endpoint descriptor before HELLO, or of an endpoint-owner descriptor, fails with EBADFD.",
    verify: "mmap in both states",
  },
  {
    id: "POOL-007", level: "must", source: "implementation",
    text: "A pool mapping stays readable after KDBUS_CMD_BYEBYE and after the descriptor was closed.",
    verify: "read a known message through the mapping afterwards",
  },
  {
    id: "POOL-008", level: "must", source: "kdbus.pool(7)",
    text: "KDBUS_CMD_FREE with an offset returned by HELLO, RECV, SEND (synchronous), LIST, CONN_INFO or BUS_CREATOR_INFO returns 0.",
    verify: "one FREE per command",
  },
  {
    id: "POOL-009", level: "must", source: "upstream selftests",
    text: "KDBUS_CMD_FREE of an offset already freed, of an offset inside a slice, or outside of any slice fails with ENXIO.",
    verify: "offset 0 of an unused pool, pool size + 8, slice offset + 8, second free",
  },
  {
    id: "POOL-010", level: "must", source: "implementation",
    text: "KDBUS_CMD_FREE with offset equal to the pool size returns 0 and has no effect.",
    verify: "free the empty marker, then receive a message",
  },
  {
    id: "POOL-011", level: "must", source: "implementation",
    text: "KDBUS_CMD_FREE of the offset of a queued message that was never peeked or received fails with ENXIO.",
    verify: "peek, note the offset, free, then free again",
  },
  {
    id: "POOL-012", level: "must", source: "implementation",
    text: "KDBUS_CMD_FREE of a peeked message's offset returns 0 and the message stays queued and can be received intact.",
    verify: "PEEK, FREE, PEEK, RECV; content equal",
  },
  {
    id: "POOL-013", level: "must", source: "kdbus.pool(7)",
    text: "KDBUS_CMD_FREE on a policy holder fails with EOPNOTSUPP; with unknown flags or any item other than NEGOTIATE it fails with EINVAL.",
    verify: "three calls",
  },
  {
    id: "POOL-014", level: "must", source: "kdbus.pool(7)",
    text: "The bytes of a received slice do not change until it is freed, whatever traffic follows.",
    verify: "keep slices, flood the connection, compare hashes",
  },
  {
    id: "POOL-015", level: "must", source: "implementation",
    text: "Slices handed out at the same time do not overlap and start at multiples of 8.",
    verify: "collect offsets and sizes of 1000 unfreed slices",
  },
  {
    id: "POOL-016", level: "must", source: "kdbus.pool(7)",
    text: "Freed space is usable again: receiving and freeing messages of random sizes without end never leads to EXFULL or ENOBUFS.",
    verify: "100000 messages through a pool 16 times the largest message",
  },
  {
    id: "POOL-017", level: "must", source: "implementation",
    text: "Adjacent freed slices merge: after freeing everything a message of the largest size the quota allows is accepted.",
    verify: "fill with small messages, free in random order, send the largest",
  },
  {
    id: "POOL-018", level: "must", source: "kdbus.message(7)",
    text: "If the sender's quota is not exhausted but received slices were not freed and no region is large enough, a unicast SEND fails with EXFULL.",
    verify: "receive without freeing until SEND fails",
  },
  {
    id: "POOL-019", level: "must", source: "implementation",
    text: "LIST, CONN_INFO and BUS_CREATOR_INFO succeed while the queue is full to the quota of all senders, as half of the pool is reserved for the owner.",
    verify: "fill with several users, then the three commands",
  },
  {
    id: "POOL-020", level: "must", source: "LWN 552241",
    text: "When SEND of a VEC message has returned, the payload bytes are already present in the receiver's pool mapping, and RECV reports exactly that place.",
    verify: "search the mapping for a random pattern before RECV; compare positions after RECV",
  },
  {
    id: "POOL-021", level: "must", source: "LWN 552241",
    text: "Sending VEC payload into a warmed pool does not allocate kernel memory in proportion to the payload size.",
    verify: "method 1 of the pool document: kmem trace events of the sender, 64 KiB against 2 MiB, difference at most 64 KiB",
  },
  {
    id: "POOL-022", level: "should", source: "LWN 552241",
    text: "The kernel reads the source memory of a VEC progressively into the receiver's pool instead of collecting it first.",
    verify: "userfaultfd source: at the fault of page k the earlier pages are found in the pool; inconclusive if not",
  },
  {
    id: "POOL-023", level: "must", source: "LWN 552241",
    text: "KDBUS_CMD_RECV does not depend on payload size: no page faults and no time proportional to the payload.",
    verify: "medians of 1000 runs, 64 bytes against 2 MiB, factor at most 3",
  },
  {
    id: "POOL-024", level: "must", source: "kdbus.message(7)",
    text: "PAYLOAD_MEMFD transfers no bytes: the received descriptor has the same device and inode numbers as the sender's, and the pool use of the message does not depend on the memfd size.",
    verify: "fstat on both sides; slice size for 4 KiB and 64 MiB memfds",
  },
  {
    id: "POOL-025", level: "should", source: "LWN 552241",
    text: "The pool is written in place: the physical frames of the pool mapping are the same before and after a SEND into warmed pages, and differ from the frames of the source.",
    verify: "/proc/self/pagemap as root",
  },
  {
    id: "POOL-026", level: "should", source: "LWN 552241",
    text: "Time per payload byte of SEND plus RECV is below 1.5 times that of pwrite to a warm memfd on the same machine.",
    verify: "linear fit over 64 KiB to 2 MiB; recorded, not gating under emulation",
  },
  {
    id: "POOL-027", level: "may", source: "implementation",
    text: "mmap() of the pool with PROT_READ and PROT_EXEC succeeds unless the mount or a security module forbids execution; mmap() at an offset behind the pool end succeeds and touching it raises SIGBUS.",
    verify: "both mappings; record only",
  },
  {
    id: "POOL-028", level: "must", source: "implementation",
    text: "HELLO with a pool_size that memory management cannot reserve fails with ENOMEM and makes no connection.",
    verify: "pool_size 2^62 with default overcommit settings; no ID_ADD",
  },
] as const satisfies readonly Requirement[];
