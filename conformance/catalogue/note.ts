import type { Requirement } from "./requirement.ts";

/** Requirements on kernel notifications. */
export const NOTE = [
  {
    id: "NOTE-001", level: "must", source: "kdbus.message(7)",
    text: "Kernel notifications have src_id 0, payload_type 0, cookie 0, priority 0 and exactly one notification item, which is the first item.",
    verify: "check each received notification",
  },
  {
    id: "NOTE-002", level: "must", source: "implementation",
    text: "NAME_* and ID_* notifications have dst_id all ones; REPLY_TIMEOUT and REPLY_DEAD have the requester's id as dst_id, an item of 16 bytes and the request's cookie in cookie_reply.",
    verify: "check header and item size",
  },
  {
    id: "NOTE-003", level: "must", source: "implementation",
    text: "NAME_* and ID_* notifications have KDBUS_MSG_SIGNAL set in the message flags.",
    verify: "check flags",
  },
  {
    id: "NOTE-004", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A TIMESTAMP item follows the notification item if module mask and the receiver's attach_flags_recv have its bit; no other metadata is attached.",
    verify: "receive mask with and without TIMESTAMP",
  },
  {
    id: "NOTE-005", level: "must", source: "implementation",
    text: "ID_ADD is sent when an ordinary, activator or policy-holder connection is made, with its id and HELLO flags; ID_REMOVE likewise when it ends.",
    verify: "creation of each kind, end by BYEBYE, close and SIGKILL",
  },
  {
    id: "NOTE-006", level: "must", source: "upstream selftests",
    text: "Monitor connections cause no ID_ADD and no ID_REMOVE.",
    verify: "match on both, open and close a monitor",
  },
  {
    id: "NOTE-007", level: "must", source: "upstream selftests",
    text: "NAME_ADD has old id and flags 0 and the owner's id and name flags as new; NAME_REMOVE the reverse; NAME_CHANGE has both.",
    verify: "acquire, replace, release; compare records",
  },
  {
    id: "NOTE-008", level: "must", source: "implementation",
    text: "NAME_CHANGE is sent on replacement, on hand-over to the next connection in the name's queue, and between activator and implementer in both directions, with KDBUS_NAME_ACTIVATOR in the flags of the activator's side.",
    verify: "three situations, compare ids and flags",
  },
  {
    id: "NOTE-009", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "The name in a NAME_* notification is NUL-terminated; the item size is rounded up to a multiple of 8 and counts the zero bytes of padding.",
    verify: "names of length 3 to 20",
  },
  {
    id: "NOTE-010", level: "must", source: "upstream selftests",
    text: "The connection that causes a NAME_* notification receives it too if it has a match.",
    verify: "match on NAME_ADD, acquire on the same connection",
  },
  {
    id: "NOTE-011", level: "must", source: "kdbus.message(7)",
    text: "REPLY_TIMEOUT and REPLY_DEAD arrive without any match installed.",
    verify: "connection without matches",
  },
  {
    id: "NOTE-012", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "ID_* notifications do not reach connections on custom endpoints; NAME_* reach them only for names the endpoint policy lets them see.",
    verify: "endpoint policy with SEE for one name",
  },
  {
    id: "NOTE-013", level: "must", source: "implementation",
    text: "Joining or leaving a name's queue, policy changes, and an activator registering for an owned name cause no notification.",
    verify: "match everything, do each, RECV gives EAGAIN",
  },
  {
    id: "NOTE-014", level: "must", source: "upstream selftests",
    text: "Kernel notifications use a message quota of their own: with 256 notifications queued a user can still send to the connection, and further notifications are counted as dropped.",
    verify: "128 connect/disconnect pairs with ID matches, then one message, then 3 more notifications: dropped_msgs is 3",
  },
  {
    id: "NOTE-015", level: "must", source: "implementation",
    text: "User space cannot send notifications: items 0x8000 to 0x8006 in a sent message fail with EINVAL.",
    verify: "one send per type",
  },
  {
    id: "NOTE-016", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Every kernel notification carries exactly two items: the notification item and a TIMESTAMP item, the latter whatever the receiver's attach_flags_recv says.",
    verify: "receive mask 0 and all",
  },
  {
    id: "NOTE-017", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "The item size of a NAME_* notification is 16 + 32 + name length + 1, without padding; the name is NUL-terminated.",
    verify: "names of length 3 to 20",
  },
  {
    id: "NOTE-018", level: "must", source: "upstream selftests", generations: ["2015-08"],
    text: "ID_ADD and ID_REMOVE reach matching connections on custom endpoints like those on the default endpoint; NAME_* reach them only for names the endpoint policy lets them see.",
    verify: "custom endpoint without policy: ID_ADD arrives, NAME_ADD does not",
  },
  {
    id: "NOTE-019", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "REPLY_TIMEOUT and REPLY_DEAD have message flags 0.",
    verify: "check flags of both",
  },
  {
    id: "NOTE-020", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "REPLY_TIMEOUT and REPLY_DEAD have KDBUS_MSG_SIGNAL set in the message flags.",
    verify: "check flags of both",
  },
  {
    id: "NOTE-021", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "In NAME_* records the flags next to a non-zero id have KDBUS_NAME_PRIMARY (0x20) set, for the old and the new holder; besides it only ALLOW_REPLACEMENT, QUEUE and ACTIVATOR appear.",
    verify: "acquire, replace, release, activator hand-over in both directions",
  },
  {
    id: "NOTE-022", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "In NAME_* records the flags next to a non-zero id are those of the holder's NAME_ACQUIRE, or ACTIVATOR for an activator; bit 0x20 is never set.",
    verify: "acquire, replace, release, activator hand-over in both directions",
  },
] as const satisfies readonly Requirement[];
