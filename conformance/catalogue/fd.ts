import type { Requirement } from "./requirement.ts";

/** Requirements on descriptors and memfds. */
export const FD = [
  {
    id: "FD-001", level: "must", source: "kdbus.message(7)",
    text: "Descriptors in KDBUS_ITEM_FDS of a unicast message to a connection with KDBUS_HELLO_ACCEPT_FD are installed at RECV, and the delivered FDS item holds the new numbers in the order sent.",
    verify: "pipe read ends with different content",
  },
  {
    id: "FD-002", level: "must", source: "kdbus.message(7)",
    text: "A received descriptor refers to the same open file description as the sender's.",
    verify: "lseek on one side, read position on the other; kcmp KCMP_FILE",
  },
  {
    id: "FD-003", level: "must", source: "implementation",
    text: "Received descriptors (FDS and memfd) have the close-on-exec flag set.",
    verify: "fcntl F_GETFD",
  },
  {
    id: "FD-004", level: "must", source: "kdbus.message(7)",
    text: "A unicast message with descriptors to a connection without KDBUS_HELLO_ACCEPT_FD fails with ECOMM and nothing is queued.",
    verify: "receiver queue stays empty",
  },
  {
    id: "FD-005", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_ITEM_FDS on a broadcast fails with ENOTUNIQ.",
    verify: "signal with FDS item, dst_id all ones",
  },
  {
    id: "FD-006", level: "must", source: "kdbus.message(7)",
    text: "A KDBUS_ITEM_FDS with a negative or closed descriptor number fails with EBADF and none of the other descriptors stays referenced.",
    verify: "-1 and a closed number in second place; pipe test for the first",
  },
  {
    id: "FD-007", level: "must", source: "upstream selftests",
    text: "A kdbus descriptor (control, endpoint before HELLO, connection, bus owner, endpoint owner) in KDBUS_ITEM_FDS fails with EOPNOTSUPP.",
    verify: "one case per state, in first and second place",
  },
  {
    id: "FD-008", level: "must", source: "upstream selftests",
    text: "An AF_UNIX socket of any type in KDBUS_ITEM_FDS fails with EOPNOTSUPP.",
    verify: "stream, datagram, seqpacket, listening",
  },
  {
    id: "FD-009", level: "must", source: "kdbus.message(7)",
    text: "Inet sockets, pipes, eventfds, epoll descriptors, directories, regular files, devices and O_PATH descriptors are accepted in KDBUS_ITEM_FDS.",
    verify: "send each kind, use it after RECV",
  },
  {
    id: "FD-010", level: "should", source: "implementation, corrected",
    text: "An io_uring descriptor in KDBUS_ITEM_FDS is refused with EOPNOTSUPP.",
    verify: "io_uring_setup; skip if not available",
  },
  {
    id: "FD-011", level: "must", source: "implementation (2015-08), corrected",
    text: "A KDBUS_ITEM_FDS whose payload is not a multiple of 4 bytes fails with EINVAL; one with no entries is accepted, harms nothing, and the delivered message holds no descriptor (no FDS item, or one of 16 bytes).",
    verify: "payload of 6 bytes; payload of 0 bytes as an unprivileged user, then a normal exchange (2015-08 crashed)",
  },
  {
    id: "FD-012", level: "must", source: "implementation (2015-03), corrected",
    text: "If the receiving process cannot get more descriptors, RECV still returns 0, the affected entries are -1 and KDBUS_RECV_RETURN_INCOMPLETE_FDS is set in msg.return_flags.",
    verify: "RLIMIT_NOFILE lowered to leave room for one of three; 2015-03 stored the negative errno instead of -1",
  },
  {
    id: "FD-013", level: "must", source: "kdbus.message(7)",
    text: "If a caller cannot get more descriptors for a synchronous reply, its SEND still returns 0, the affected entries are -1 and KDBUS_RECV_RETURN_INCOMPLETE_FDS is set in reply.return_flags.",
    verify: "RLIMIT_NOFILE lowered in the calling process",
  },
  {
    id: "FD-014", level: "must", source: "implementation (2015-08), corrected",
    text: "KDBUS_RECV_PEEK installs nothing: the process has the same number of descriptors before and after, and all descriptor numbers in the peeked message are -1.",
    verify: "count /proc/self/fd before and after two PEEKs of a message with FDS and memfd; 2015-08 installed both on every PEEK",
  },
  {
    id: "FD-015", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_RECV_DROP of a message with descriptors installs nothing and releases the files.",
    verify: "drop a queued pipe write end, reader sees end-of-file",
  },
  {
    id: "FD-016", level: "must", source: "implementation",
    text: "Disconnecting a receiver with queued descriptors releases the files.",
    verify: "as above with close and with SIGKILL",
  },
  {
    id: "FD-017", level: "must", source: "implementation",
    text: "A failed SEND keeps no reference to any descriptor named in the message.",
    verify: "each of ECOMM, ENOBUFS, EMFILE, EBADF in second entry; pipe test",
  },
  {
    id: "FD-018", level: "must", source: "upstream selftests",
    text: "A sender may close its descriptors right after SEND returned; the receiver still gets working ones.",
    verify: "close before RECV",
  },
  {
    id: "FD-019", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_FREE does not close received descriptors.",
    verify: "FREE, then read from the descriptor",
  },
  {
    id: "FD-020", level: "must", source: "kdbus.message(7)",
    text: "A PAYLOAD_MEMFD is accepted only if the file has the seals F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE, else ETXTBSY; F_SEAL_FUTURE_WRITE does not replace F_SEAL_WRITE.",
    verify: "each subset of the four seals; a plain tmpfs file and an unsealed memfd give ETXTBSY too. Upstream tests do not notice a missing check",
  },
  {
    id: "FD-021", level: "must", source: "kdbus.message(7)",
    text: "A PAYLOAD_MEMFD naming a file that does not support seals (not shared memory, or hugetlb) fails with EMEDIUMTYPE.",
    verify: "pipe, eventfd, /dev/null, file on a disk file system, hugetlb memfd",
  },
  {
    id: "FD-022", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A PAYLOAD_MEMFD whose start plus size exceeds the file size fails with EBADF.",
    verify: "size file size plus 1; start 95 and size 10 of 100",
  },
  {
    id: "FD-023", level: "must", source: "implementation",
    text: "A PAYLOAD_MEMFD with a closed or O_PATH descriptor fails with EBADF.",
    verify: "closed number; O_PATH descriptor of a memfd through /proc/self/fd",
  },
  {
    id: "FD-024", level: "must", source: "upstream selftests",
    text: "A broadcast may carry PAYLOAD_MEMFD items; each receiver gets a descriptor of its own.",
    verify: "two receivers, both map and compare",
  },
  {
    id: "FD-025", level: "must", source: "implementation, corrected",
    text: "A delivered PAYLOAD_MEMFD record has start and size as sent and the padding field 0.",
    verify: "poison the pool first by other messages, read bytes 20..23",
  },
  {
    id: "FD-026", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A receiver without KDBUS_HELLO_ACCEPT_FD gets working descriptors for PAYLOAD_MEMFD items.",
    verify: "ordinary connection without the flag, RECV; new descriptor has the sender's inode",
  },
  {
    id: "FD-027", level: "must", source: "implementation (2015-08), corrected",
    text: "No descriptor from KDBUS_ITEM_FDS is ever installed into a process receiving on a connection without KDBUS_HELLO_ACCEPT_FD.",
    verify: "monitor without the flag: entries are -1, no new descriptor, INCOMPLETE_FDS not set (2015-08 installed them)",
  },
  {
    id: "FD-028", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A PAYLOAD_MEMFD whose start plus size exceeds the file size fails with EFAULT.",
    verify: "size file size plus 1; start 95 and size 10 of 100",
  },
  {
    id: "FD-029", level: "must", source: "implementation",
    text: "A PAYLOAD_MEMFD whose start plus size wraps around 64 bits fails with EMSGSIZE.",
    verify: "start near the largest value",
  },
  {
    id: "FD-030", level: "may", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A receiver without KDBUS_HELLO_ACCEPT_FD finds -1 in PAYLOAD_MEMFD records delivered by RECV, with INCOMPLETE_FDS not set; a synchronous reply installs the descriptor.",
    verify: "record only; a client cannot use such payload",
  },
  {
    id: "FD-031", level: "must", source: "implementation (2015-08), corrected",
    text: "A memfd that cannot be installed at RECV leaves -1 in its own record only; other memfds and FDS entries of the message keep correct numbers, and INCOMPLETE_FDS is set.",
    verify: "RLIMIT_NOFILE leaves room for the first of three memfds; compare inodes of those installed (2015-08 left the sender's number in the record)",
  },
  {
    id: "FD-032", level: "must", source: "implementation",
    text: "A monitor with KDBUS_HELLO_ACCEPT_FD gets working descriptors for FDS and PAYLOAD_MEMFD items of the messages it copies, independent of those of the destination.",
    verify: "close one, use the other",
  },
] as const satisfies readonly Requirement[];
