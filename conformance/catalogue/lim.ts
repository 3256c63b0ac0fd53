import type { Requirement } from "./requirement.ts";

/** Requirements on limits and quotas. */
export const LIM = [
  {
    id: "LIM-001", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "PAYLOAD_VEC sizes of one message may add up to 2097152 bytes; one byte more fails with EMSGSIZE, also if part of it is address-0 VECs.",
    verify: "one and several VECs",
  },
  {
    id: "LIM-002", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A message with 128 items is accepted, one with 129 fails with E2BIG.",
    verify: "1-byte VECs",
  },
  {
    id: "LIM-003", level: "must", source: "upstream selftests",
    text: "16 PAYLOAD_MEMFD items are accepted, 17 fail with E2BIG.",
    verify: "16 and 17 sealed memfds",
  },
  {
    id: "LIM-004", level: "must", source: "upstream selftests",
    text: "16 descriptors in KDBUS_ITEM_FDS are accepted, 17 fail with EMFILE.",
    verify: "16 and 17 descriptors of /dev/null",
  },
  {
    id: "LIM-005", level: "must", source: "upstream selftests",
    text: "At most 16 descriptors of one sending user are queued at one receiver: with 16 queued the next descriptor fails with EMFILE, while PAYLOAD_MEMFD messages are still accepted; after RECV or DROP new ones are accepted.",
    verify: "10 + 6 accepted, 1 refused, memfd accepted, RECV, accepted again",
  },
  {
    id: "LIM-006", level: "must", source: "upstream selftests",
    text: "256 messages of one sending user can be queued at a receiver with a large pool; the 257th fails with ENOBUFS; after one RECV one more is accepted.",
    verify: "header-only messages",
  },
  {
    id: "LIM-007", level: "must", source: "implementation",
    text: "The 256-message quota is per sending user: a sender of another uid can still send.",
    verify: "fill as one uid, send as another with policy",
  },
  {
    id: "LIM-008", level: "must", source: "implementation",
    text: "The quota counts all connections of the sending user together.",
    verify: "two connections of one uid: 256 in total",
  },
  {
    id: "LIM-009", level: "must", source: "implementation",
    text: "With an empty queue of a pool of P bytes, a message is accepted if its slice size is at most (P/2)/3 (integer division) and fails with ENOBUFS if it is larger.",
    verify: "bisect the VEC size with receive mask 0, allow 256 bytes of slack",
  },
  {
    id: "LIM-010", level: "must", source: "implementation",
    text: "One sending user fills at most one sixth of a receiver's pool; a second user then still gets at least one ninth of it.",
    verify: "fill as uid A until ENOBUFS, then as uid B",
  },
  {
    id: "LIM-011", level: "must", source: "implementation",
    text: "Messages received but not freed no longer count against the sender's quota.",
    verify: "receive without FREE, keep sending until EXFULL, never ENOBUFS",
  },
  {
    id: "LIM-012", level: "must", source: "implementation",
    text: "Memory quota is given back by RECV, DROP, disconnect of the receiver and move to another connection.",
    verify: "four ways of release, then send again",
  },
  {
    id: "LIM-013", level: "must", source: "upstream selftests",
    text: "A connection can have 128 requests waiting for replies, to any number of peers; the 129th fails with EMLINK, asynchronous or synchronous.",
    verify: "8 peers with 16 requests each, then one more",
  },
  {
    id: "LIM-014", level: "must", source: "implementation",
    text: "A request stops counting when it was answered, timed out or its destination ended, provided the destination has dequeued it.",
    verify: "complete one request in each way, send one more",
  },
  {
    id: "LIM-015", level: "should", source: "implementation, corrected",
    text: "A timed-out request stops counting even if the destination has not dequeued it.",
    verify: "128 unread requests, wait for all timeouts, send one more",
  },
  {
    id: "LIM-016", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "256 matches per connection are accepted, the 257th MATCH_ADD fails with EMFILE.",
    verify: "loop",
  },
  {
    id: "LIM-017", level: "must", source: "implementation",
    text: "A connection can own 256 well-known names, the 257th NAME_ACQUIRE fails with E2BIG.",
    verify: "loop, release one, acquire again",
  },
  {
    id: "LIM-018", level: "must", source: "implementation",
    text: "1024 connections of one user in one domain are accepted, the 1025th HELLO fails with EMFILE; closing one makes room, BYEBYE alone does not.",
    verify: "raise RLIMIT_NOFILE, loop",
  },
  {
    id: "LIM-019", level: "must", source: "implementation",
    text: "Connections through a custom endpoint count against that endpoint's own anonymous user, not against the uid of the caller.",
    verify: "fill the uid's limit on the default endpoint, connect through the custom one",
  },
  {
    id: "LIM-020", level: "must", source: "implementation",
    text: "16 buses of one user in one domain are accepted, the 17th BUS_MAKE fails with EMFILE; closing a bus owner makes room.",
    verify: "loop, close one owner",
  },
  {
    id: "LIM-021", level: "must", source: "implementation",
    text: "Commands up to 32768 bytes are accepted, larger ones fail with EMSGSIZE.",
    verify: "MATCH_ADD with many items",
  },
  {
    id: "LIM-022", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A single PAYLOAD_VEC of 2097152 bytes is accepted, one byte more fails with EMSGSIZE, also with address 0.",
    verify: "one VEC, pool of 64 MiB",
  },
  {
    id: "LIM-023", level: "should", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Several PAYLOAD_VEC items may add up to more than 2097152 bytes; only the receiver's quota limits the sum.",
    verify: "1 MiB plus 1 MiB and 8 bytes, pool of 64 MiB",
  },
  {
    id: "LIM-024", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "The number of items in a message is limited by its size only.",
    verify: "129, 300 and 1000 one-byte VEC items are accepted",
  },
  {
    id: "LIM-025", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "4096 matches per connection are accepted, the 4097th MATCH_ADD fails with EMFILE; with KDBUS_MATCH_REPLACE the removed ones make room.",
    verify: "loop",
  },
  {
    id: "LIM-026", level: "must", source: "implementation (2015-08), corrected",
    text: "A SEND that failed with EXFULL, ENOBUFS, EMFILE or EFAULT changes no quota of the sending user.",
    verify: "provoke EXFULL 1000 times with a receiver that frees nothing, then free everything: 256 messages and the largest message are accepted again (2015-08 loses quota at EXFULL)",
  },
  {
    id: "LIM-027", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Connections and messages of a connection made with faked CREDS are charged to the faked real uid if its handle has CAP_IPC_OWNER on the default endpoint, otherwise to the real uid of whoever opened the file.",
    verify: "root fakes uid 1000: message quota is separate from root's own",
  },
  {
    id: "LIM-028", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Connections and messages are charged to the real uid of the task that called HELLO, also with faked CREDS.",
    verify: "root fakes uid 1000: message quota is shared with root's other connections",
  },
  {
    id: "LIM-029", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Without faked CREDS connections are charged to the real uid of whoever opened the file, not of the task that called HELLO.",
    verify: "open as root, drop to uid 65534, HELLO: a second such connection shares quota with root's",
  },
] as const satisfies readonly Requirement[];
