import type { Requirement } from "./requirement.ts";

/** Requirements on monitors, activators, policy holders. */
export const MON = [
  {
    id: "MON-001", level: "must", source: "kdbus.connection(7)",
    text: "HELLO with more than one of ACTIVATOR, POLICY_HOLDER and MONITOR fails with EINVAL.",
    verify: "all pairs and all three",
  },
  {
    id: "MON-002", level: "must", source: "upstream selftests",
    text: "HELLO with MONITOR, ACTIVATOR or POLICY_HOLDER on a handle that is not privileged fails with EPERM; MONITOR on a custom endpoint fails with EOPNOTSUPP.",
    verify: "unprivileged uid; custom endpoint as bus owner",
  },
  {
    id: "MON-003", level: "must", source: "kdbus.connection(7)",
    text: "A monitor receives a copy of every delivered unicast message, reply (asynchronous and synchronous), broadcast and unicast signal on the bus without installing matches.",
    verify: "compare the monitor's list with the list of sends",
  },
  {
    id: "MON-004", level: "must", source: "kdbus.connection(7)",
    text: "A monitor receives every kernel notification, including REPLY_TIMEOUT and REPLY_DEAD addressed to others.",
    verify: "match-free monitor, force timeout and death",
  },
  {
    id: "MON-005", level: "must", source: "implementation",
    text: "A monitor receives broadcasts that match nobody, and unicast signals that their destination does not get.",
    verify: "signals nobody wants",
  },
  {
    id: "MON-006", level: "must", source: "implementation",
    text: "A monitor does not receive messages whose SEND failed with EPERM, ENXIO, ESRCH, EREMCHG, EADDRNOTAVAIL, EBADSLT, EINVAL or another format error.",
    verify: "one failing send per errno, monitor stays empty",
  },
  {
    id: "MON-007", level: "must", source: "upstream selftests",
    text: "The copy has the original header (src_id, dst_id, cookie, flags, priority) and complete payload, and metadata according to the monitor's own receive mask.",
    verify: "byte compare of payload, field compare of header, different masks",
  },
  {
    id: "MON-008", level: "must", source: "kdbus.connection(7)",
    text: "SEND, MATCH_ADD, MATCH_REMOVE, NAME_ACQUIRE, NAME_RELEASE and BYEBYE on a monitor fail with EOPNOTSUPP; RECV, FREE, LIST, CONN_INFO, BUS_CREATOR_INFO and UPDATE of both masks work.",
    verify: "call each",
  },
  {
    id: "MON-009", level: "must", source: "kdbus.connection(7)",
    text: "A monitor never appears in LIST, and messages to its id fail with ENXIO.",
    verify: "LIST with all flags; SEND to the id",
  },
  {
    id: "MON-010", level: "should", source: "implementation, corrected",
    text: "CONN_INFO for a monitor's id fails with ENXIO.",
    verify: "both original generations answer",
  },
  {
    id: "MON-011", level: "must", source: "implementation",
    text: "A monitor that does not read loses messages (dropped_msgs) without any effect on senders and receivers.",
    verify: "1000 messages with an unread monitor, then RECV on it",
  },
  {
    id: "MON-012", level: "must", source: "implementation",
    text: "A monitor cannot answer a request it has seen, as SEND is refused, and its presence does not change reply tracking.",
    verify: "request and reply with and without monitor",
  },
  {
    id: "MON-013", level: "must", source: "upstream selftests",
    text: "HELLO of an activator or policy holder without KDBUS_ITEM_NAME, and of an ordinary connection or monitor with one, fails with EINVAL.",
    verify: "four HELLOs",
  },
  {
    id: "MON-014", level: "must", source: "kdbus.connection(7)",
    text: "Messages to a name held by an activator are queued there and make its descriptor readable; the activator can PEEK, RECV and DROP them.",
    verify: "poll, PEEK, RECV, DROP on the activator",
  },
  {
    id: "MON-015", level: "must", source: "implementation",
    text: "SEND, MATCH_ADD, MATCH_REMOVE, NAME_ACQUIRE, NAME_RELEASE, BYEBYE and UPDATE of the send mask on an activator fail with EOPNOTSUPP.",
    verify: "call each",
  },
  {
    id: "MON-016", level: "must", source: "implementation (2015-03), corrected",
    text: "A second activator for a name that has one fails at HELLO with EEXIST, whether the first activator or an implementer holds the name, and nothing changes for the first.",
    verify: "second HELLO in both situations, then a message to the name (2015-03 crashed)",
  },
  {
    id: "MON-017", level: "must", source: "implementation",
    text: "An ordinary connection that may own the name takes it from the activator without REPLACE_EXISTING, and receives all messages queued there.",
    verify: "queue 10 messages, acquire with flags 0, receive 10",
  },
  {
    id: "MON-018", level: "must", source: "implementation",
    text: "Messages moved from an activator keep src_id, cookie, priority, payload, metadata and descriptors, and requests among them can be answered by the new owner.",
    verify: "compare everything; reply from the new owner reaches the requester",
  },
  {
    id: "MON-019", level: "must", source: "kdbus.name(7)",
    text: "When the implementer releases the name or ends and nobody waits for it, the activator holds it again and gets the unread messages that were addressed to the name; messages addressed to the implementer's id are not moved.",
    verify: "mixture of messages by id and by name, release, receive on the activator",
  },
  {
    id: "MON-020", level: "must", source: "kdbus.name(7)",
    text: "If another connection waits in the name's queue, it becomes owner before the activator does.",
    verify: "implementer, waiter, activator; release",
  },
  {
    id: "MON-021", level: "must", source: "upstream selftests",
    text: "Messages that do not fit into the quota of the new owner when moved, or carry descriptors it does not accept, are dropped and counted in its dropped_msgs.",
    verify: "small pool at the implementer; implementer without ACCEPT_FD",
  },
  {
    id: "MON-022", level: "should", source: "implementation, corrected",
    text: "The sender of a request dropped while moving gets REPLY_DEAD or EPIPE.",
    verify: "request queued at the activator, implementer cannot take it",
  },
  {
    id: "MON-023", level: "must", source: "implementation",
    text: "When an activator ends while holding the name, NAME_REMOVE is sent and its queued requests are answered with REPLY_DEAD or EPIPE; when it ends while the name is implemented, the owner keeps the name.",
    verify: "both situations with matches and pending requests",
  },
  {
    id: "MON-024", level: "must", source: "kdbus.connection(7)",
    text: "RECV, FREE, SEND, MATCH_ADD, NAME_ACQUIRE and BYEBYE on a policy holder fail with EOPNOTSUPP; UPDATE with NAME and POLICY_ACCESS works on policy holders only (others: EOPNOTSUPP).",
    verify: "call each",
  },
] as const satisfies readonly Requirement[];
