import type { Requirement } from "./requirement.ts";

/** Requirements on matches and bloom filters. */
export const MATCH = [
  {
    id: "MATCH-001", level: "must", source: "kdbus.match(7)",
    text: "A connection without matches receives no signal and no NAME_* or ID_* notification.",
    verify: "flood of signals and name changes, RECV gives EAGAIN",
  },
  {
    id: "MATCH-002", level: "must", source: "kdbus.match(7)",
    text: "A match fits only if all its rules fit; a signal is delivered once if at least one match fits, also if several fit.",
    verify: "overlapping matches, count copies",
  },
  {
    id: "MATCH-003", level: "must", source: "implementation",
    text: "A match without rules fits every signal and every broadcast notification.",
    verify: "MATCH_ADD without items",
  },
  {
    id: "MATCH-004", level: "must", source: "implementation",
    text: "A KDBUS_ITEM_ID rule fits signals of that sender id only; with KDBUS_MATCH_ID_ANY it fits signals of every connection but no notification.",
    verify: "two senders; notifications must not arrive",
  },
  {
    id: "MATCH-005", level: "must", source: "kdbus.match(7)",
    text: "A KDBUS_ITEM_NAME rule fits signals of a sender that owns the name when sending, not of one queued for it.",
    verify: "owner, queued waiter and stranger broadcast",
  },
  {
    id: "MATCH-006", level: "must", source: "upstream selftests",
    text: "A BLOOM_MASK rule fits if every bit set in the selected mask is set in the message's filter.",
    verify: "table of the match document plus random masks against a model",
  },
  {
    id: "MATCH-007", level: "must", source: "upstream selftests",
    text: "With n masks in a rule the mask number min(generation, n-1) is used.",
    verify: "generations 0, 1, n-1, n, all ones",
  },
  {
    id: "MATCH-008", level: "must", source: "implementation",
    text: "An all-zero mask fits every signal.",
    verify: "random filters",
  },
  {
    id: "MATCH-009", level: "must", source: "kdbus.match(7)",
    text: "No signal whose filter contains all mask bits is withheld from a permitted subscriber.",
    verify: "10^4 random filters and masks against a model",
  },
  {
    id: "MATCH-010", level: "must", source: "kdbus.message(7)",
    text: "A BLOOM_FILTER of another size than the bus bloom size fails with EDOM, one whose bit field is no multiple of 8 with EFAULT.",
    verify: "8 bytes more, 8 less, 4 more",
  },
  {
    id: "MATCH-011", level: "must", source: "kdbus.match(7)",
    text: "A BLOOM_MASK that is empty or no multiple of the bus bloom size fails with EDOM.",
    verify: "0 bytes, S minus 8, S plus 8",
  },
  {
    id: "MATCH-012", level: "must", source: "upstream selftests",
    text: "NAME_ADD, NAME_REMOVE and NAME_CHANGE rules fit only notifications of their own type, with old id, new id (KDBUS_MATCH_ID_ANY as wildcard) and, if given, the name equal.",
    verify: "matrix of rule against event",
  },
  {
    id: "MATCH-013", level: "must", source: "upstream selftests",
    text: "ID_ADD and ID_REMOVE rules fit only notifications of their own type and id, or all of them with KDBUS_MATCH_ID_ANY.",
    verify: "matrix of rule against event",
  },
  {
    id: "MATCH-014", level: "must", source: "implementation",
    text: "A match with both signal rules and notification rules, or with rules for two notification types, fits nothing.",
    verify: "ID plus NAME_ADD; NAME_ADD plus NAME_REMOVE",
  },
  {
    id: "MATCH-015", level: "must", source: "implementation",
    text: "Flags inside change records of rules are ignored.",
    verify: "random flags in the rule",
  },
  {
    id: "MATCH-016", level: "must", source: "kdbus.match(7)",
    text: "MATCH_ADD without REPLACE and a cookie in use keeps both matches; MATCH_REMOVE removes all matches of the cookie.",
    verify: "two matches with one cookie, remove, nothing arrives",
  },
  {
    id: "MATCH-017", level: "must", source: "kdbus.match(7)",
    text: "MATCH_ADD with KDBUS_MATCH_REPLACE removes all matches with the cookie and installs the new one; it succeeds also if there was none.",
    verify: "replace and first-time replace",
  },
  {
    id: "MATCH-018", level: "must", source: "kdbus.match(7)",
    text: "MATCH_REMOVE with an unknown cookie fails with EBADSLT.",
    verify: "remove twice",
  },
  {
    id: "MATCH-019", level: "must", source: "upstream selftests",
    text: "MATCH_ADD and MATCH_REMOVE on activators, monitors and policy holders fail with EOPNOTSUPP.",
    verify: "one call per kind, also with NULL argument",
  },
  {
    id: "MATCH-020", level: "must", source: "kdbus.match(7)",
    text: "MATCH_ADD with another item type, an invalid or wildcard name in a NAME rule, or unknown flags fails with EINVAL and changes nothing.",
    verify: "each fault (types such as CREDS, FDS, PAYLOAD_VEC); the old matches still work",
  },
  {
    id: "MATCH-021", level: "must", source: "implementation",
    text: "A match is in force for messages sent after MATCH_ADD returned; removing it does not remove queued messages.",
    verify: "broadcast before and after, remove with messages queued",
  },
  {
    id: "MATCH-022", level: "must", source: "kdbus.policy(7)",
    text: "A broadcast is delivered only to connections that have TALK right to the sender; the sender needs no right.",
    verify: "unprivileged pairs with and without policy",
  },
  {
    id: "MATCH-023", level: "must", source: "LWN 552241",
    text: "A connection whose matches do not fit is not woken by signals or notifications.",
    verify: "ru_nvcsw of a thread blocked in poll: difference at most 3 for 1000 non-fitting signals",
  },
  {
    id: "MATCH-024", level: "must", source: "LWN 552241",
    text: "No scheduler wake-up of a waiting task is caused by signals its connection's matches do not fit, or by unicast messages to others.",
    verify: "sched:sched_waking filtered by pid: 0 events",
  },
  {
    id: "MATCH-025", level: "must", source: "LWN 552241",
    text: "A broadcast that policy keeps from a connection does not wake it and does not raise its lost counter.",
    verify: "ru_nvcsw as for other bystanders, dropped_msgs 0",
  },
  {
    id: "MATCH-026", level: "should", source: "LWN 552241",
    text: "One fitting message causes at most one wake-up of a thread waiting in poll on the destination.",
    verify: "sched:sched_waking count, pausing between messages",
  },
  {
    id: "MATCH-027", level: "must", source: "upstream selftests",
    text: "Non-fitting signals use no pool space of a connection and do not raise its lost counter even if its pool is full.",
    verify: "fill the pool, send non-fitting broadcasts, RECV reports dropped_msgs 0",
  },
  {
    id: "MATCH-028", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "MATCH_ADD with a KDBUS_ITEM_DST_ID item (type 16) fails with EINVAL.",
    verify: "sign of the generation",
  },
  {
    id: "MATCH-029", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "MATCH_ADD accepts KDBUS_ITEM_DST_ID with a u64 payload (other sizes: EINVAL); the rule fits signals of connections whose dst_id field equals the value, and never a notification.",
    verify: "rule with own id: unicast signal by id arrives, broadcast does not",
  },
  {
    id: "MATCH-030", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A KDBUS_ITEM_DST_ID rule with all ones (KDBUS_MATCH_ID_ANY, which equals the broadcast id) fits every signal of every connection, broadcast or unicast.",
    verify: "one rule, both kinds of signal arrive",
  },
  {
    id: "MATCH-031", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A KDBUS_ITEM_DST_ID rule compares the dst_id field as sent: a unicast signal addressed by name only has 0 there and does not fit a rule with the receiver's id.",
    verify: "signal by DST_NAME with dst_id 0, rule with own id: not delivered; rule with 0: delivered",
  },
  {
    id: "MATCH-032", level: "must", source: "implementation, corrected",
    text: "A KDBUS_ITEM_NEGOTIATE item in MATCH_ADD is answered like in other commands and is not a rule: the match fits as if the item were absent, and removing it or closing the connection has no side effect.",
    verify: "as an unprivileged user: MATCH_ADD with NEGOTIATE item, receive a signal, close, use the bus again (both originals stop the kernel at close)",
  },
  {
    id: "MATCH-033", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Own broadcasts pass through the sender's own match list like those of others, including BLOOM_MASK, ID, NAME and DST_ID rules.",
    verify: "ID rule with own id: delivered; with another id: not",
  },
  {
    id: "MATCH-034", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Repeated DST_ID rules in one match must all fit, so two different values fit nothing unless one is all ones.",
    verify: "own id and another id in one match",
  },
] as const satisfies readonly Requirement[];
