import type { Requirement } from "./requirement.ts";

/** Requirements on well-known names. */
export const NAME = [
  {
    id: "NAME-001", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "NAME_ACQUIRE of an unregistered valid name by a permitted ordinary connection succeeds with return_flags 0 and makes the caller owner.",
    verify: "LIST with NAMES shows id and name",
  },
  {
    id: "NAME-002", level: "must", source: "upstream selftests",
    text: "A name needs at least two dot-separated elements, none empty; otherwise NAME_ACQUIRE fails with EINVAL.",
    verify: ".bla.blaz, foo, a..b, a.b. and the empty string",
  },
  {
    id: "NAME-003", level: "must", source: "kdbus.name(7)",
    text: "Name elements consist of ASCII letters, digits, underscore and dash and do not start with a digit; otherwise EINVAL.",
    verify: "a.1b, a.b@c fail; a.b1, a._b succeed",
  },
  {
    id: "NAME-004", level: "must", source: "implementation",
    text: "A dash is accepted in name elements, at any position.",
    verify: "a-b.c-d and -a.-b succeed",
  },
  {
    id: "NAME-005", level: "must", source: "kdbus.name(7)",
    text: "Names of up to 255 characters are accepted; 256 give EINVAL.",
    verify: "boundary test",
  },
  {
    id: "NAME-006", level: "must", source: "upstream selftests",
    text: "NAME_ACQUIRE of a wildcard name fails with EINVAL.",
    verify: "foo.bla.bl.*",
  },
  {
    id: "NAME-007", level: "must", source: "upstream selftests (2015-03)", generations: ["2015-03"],
    text: "NAME_ACQUIRE by the present owner fails with EALREADY.",
    verify: "acquire twice",
  },
  {
    id: "NAME-008", level: "must", source: "upstream selftests",
    text: "NAME_ACQUIRE of a name owned by another ordinary connection, by a caller that does not wait for it, without usable flags fails with EEXIST.",
    verify: "second connection, flags 0",
  },
  {
    id: "NAME-009", level: "must", source: "kdbus.name(7)",
    text: "REPLACE_EXISTING takes the name over only if the present acquisition of the owner has ALLOW_REPLACEMENT; otherwise EEXIST.",
    verify: "both cases",
  },
  {
    id: "NAME-010", level: "must", source: "kdbus.name(7)",
    text: "A replaced owner that did not use QUEUE loses the name and is not queued.",
    verify: "new owner releases; name is gone",
  },
  {
    id: "NAME-011", level: "must", source: "implementation",
    text: "A replaced owner that used QUEUE goes back into the waiting queue and gets the name again when it becomes free.",
    verify: "owner with ALLOW_REPLACEMENT|QUEUE, replaced, replacer releases",
  },
  {
    id: "NAME-012", level: "must", source: "upstream selftests",
    text: "NAME_ACQUIRE with QUEUE on a name that cannot be taken succeeds and sets KDBUS_NAME_IN_QUEUE (0x8) in return_flags.",
    verify: "second connection with QUEUE",
  },
  {
    id: "NAME-013", level: "must", source: "implementation",
    text: "REPLACE_EXISTING with QUEUE on a non-replaceable name queues the caller.",
    verify: "flags 0x5",
  },
  {
    id: "NAME-014", level: "must", source: "kdbus.name(7)",
    text: "When the owner releases the name or disconnects, the longest-waiting connection becomes owner.",
    verify: "two waiters, check order",
  },
  {
    id: "NAME-015", level: "must", source: "implementation (2015-03), corrected",
    text: "A waiting connection that asks again with QUEUE stays in the queue once; after it got and released the name it is not owner again.",
    verify: "queue twice, owner releases, waiter releases, name is gone",
  },
  {
    id: "NAME-016", level: "must", source: "implementation",
    text: "Joining or leaving a queue produces no notification.",
    verify: "match NAME_* in a third connection",
  },
  {
    id: "NAME-017", level: "must", source: "implementation",
    text: "The flags with which a waiter asked apply once it becomes owner; e.g. ALLOW_REPLACEMENT given while waiting permits replacement later.",
    verify: "waiter with QUEUE|ALLOW_REPLACEMENT becomes owner, third replaces it",
  },
  {
    id: "NAME-018", level: "must", source: "implementation",
    text: "NAME_ACQUIRE with KDBUS_NAME_IN_QUEUE, KDBUS_NAME_ACTIVATOR, 0x20 or 0x40 in flags fails with EINVAL.",
    verify: "flags 0x8, 0x10, 0x20, 0x40",
  },
  {
    id: "NAME-019", level: "must", source: "kdbus.name(7)",
    text: "A connection owning 256 names gets E2BIG for NAME_ACQUIRE of one more name; releasing one makes room.",
    verify: "acquire 257 names",
  },
  {
    id: "NAME-020", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "E2BIG for too many names is reported before EPERM, EALREADY and EEXIST, and after EINVAL for a bad name.",
    verify: "with 256 names, acquire an owned one",
  },
  {
    id: "NAME-021", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Waiting places do not count against the 256 names.",
    verify: "255 owned names and one waiting place: another name can be acquired",
  },
  {
    id: "NAME-022", level: "must", source: "upstream selftests",
    text: "NAME_ACQUIRE without OWN permission fails with EPERM, also if the name is owned by someone else.",
    verify: "unprivileged caller without policy",
  },
  {
    id: "NAME-023", level: "must", source: "upstream selftests",
    text: "NAME_RELEASE by the owner succeeds and removes the name if nobody waits and there is no activator.",
    verify: "then CONN_INFO gives ESRCH",
  },
  {
    id: "NAME-024", level: "must", source: "upstream selftests",
    text: "NAME_RELEASE of an unregistered or syntactically invalid name fails with ESRCH.",
    verify: "second release; .bla.blaz; foo; foo.bla.bl.*",
  },
  {
    id: "NAME-025", level: "must", source: "upstream selftests",
    text: "NAME_RELEASE of a name owned by another connection, without waiting for it, fails with EADDRINUSE.",
    verify: "release a foreign name",
  },
  {
    id: "NAME-026", level: "must", source: "implementation",
    text: "NAME_RELEASE by a waiting connection removes it from the queue and succeeds.",
    verify: "queue, release, owner releases, name is gone",
  },
  {
    id: "NAME-027", level: "must", source: "kdbus.item(7)",
    text: "A first owner causes NAME_ADD with old id 0 and flags 0 and the new owner's id.",
    verify: "match NAME_ADD",
  },
  {
    id: "NAME-028", level: "must", source: "kdbus.item(7)",
    text: "A change of owner causes one NAME_CHANGE with old and new id; no NAME_REMOVE or NAME_ADD.",
    verify: "replacement, queue hand-over, activator take-over",
  },
  {
    id: "NAME-029", level: "must", source: "kdbus.item(7)",
    text: "The end of the last owner causes NAME_REMOVE with the old id and new id 0.",
    verify: "release or close",
  },
  {
    id: "NAME-030", level: "must", source: "kdbus.name(7)",
    text: "An activator for a free name owns it at once; NAME_ADD carries its id and name flags containing KDBUS_NAME_ACTIVATOR (0x10).",
    verify: "match NAME_ADD, create an activator",
  },
  {
    id: "NAME-031", level: "must", source: "implementation",
    text: "An activator for a name that is owned becomes its fallback without notification and without taking the name.",
    verify: "owner first, activator second",
  },
  {
    id: "NAME-032", level: "must", source: "implementation",
    text: "An ordinary connection with OWN permission takes a name from its activator without any flag.",
    verify: "NAME_ACQUIRE with flags 0 succeeds",
  },
  {
    id: "NAME-033", level: "must", source: "upstream selftests",
    text: "On take-over from an activator, messages queued at the activator move to the new owner in order and the activator's queue is empty.",
    verify: "send three messages, acquire, RECV three; activator RECV gives EAGAIN",
  },
  {
    id: "NAME-034", level: "must", source: "kdbus.name(7)",
    text: "When an implementer releases the name or disconnects and nobody waits, the activator owns it again with NAME_CHANGE, and unread messages addressed to the name move back to it.",
    verify: "send to name, release without RECV, activator becomes readable",
  },
  {
    id: "NAME-035", level: "must", source: "implementation",
    text: "Messages sent to the implementer by id, or to another of its names, do not move back to the activator.",
    verify: "send by id and by name, release",
  },
  {
    id: "NAME-036", level: "must", source: "implementation",
    text: "Waiting connections take precedence over the activator when the owner leaves.",
    verify: "owner, waiter and activator",
  },
  {
    id: "NAME-037", level: "must", source: "implementation",
    text: "A message that the new owner cannot take (descriptors without ACCEPT_FD, quota, pool space) is dropped on hand-over and shows up in dropped_msgs of its next RECV with DROPPED_MSGS set.",
    verify: "send a descriptor to an activator with ACCEPT_FD, take over without ACCEPT_FD",
  },
  {
    id: "NAME-038", level: "must", source: "implementation",
    text: "A reply expected from an activator is accepted from the connection that took over the name and the message.",
    verify: "EXPECT_REPLY to the name, take over, RECV, reply",
  },
  {
    id: "NAME-039", level: "must", source: "implementation",
    text: "When an activator disconnects while an implementer owns the name, the implementer keeps it and no NAME notification is sent.",
    verify: "then release: NAME_REMOVE",
  },
  {
    id: "NAME-040", level: "must", source: "implementation",
    text: "When an activator that owns its name disconnects, NAME_REMOVE is sent.",
    verify: "close the activator",
  },
  {
    id: "NAME-041", level: "must", source: "kdbus.name(7)",
    text: "LIST with KDBUS_LIST_NAMES returns one record per name owned by an ordinary connection, with its id, HELLO flags and an OWNED_NAME item.",
    verify: "compare with acquired names",
  },
  {
    id: "NAME-042", level: "must", source: "implementation (2015-03), corrected",
    text: "LIST with KDBUS_LIST_ACTIVATORS returns one record per activator with its name, also while an implementer owns the name, and the name flags contain KDBUS_NAME_ACTIVATOR.",
    verify: "before and after take-over",
  },
  {
    id: "NAME-043", level: "must", source: "implementation (2015-03), corrected",
    text: "LIST with KDBUS_LIST_QUEUED returns one record per waiting connection and name, whose name flags contain KDBUS_NAME_IN_QUEUE.",
    verify: "queue one connection",
  },
  {
    id: "NAME-044", level: "must", source: "implementation",
    text: "LIST with KDBUS_LIST_UNIQUE returns one record without items for each connection without another record in the same answer.",
    verify: "UNIQUE alone lists all ordinary ids once; UNIQUE|NAMES lists owners by name only",
  },
  {
    id: "NAME-045", level: "must", source: "kdbus.connection(7)",
    text: "LIST never shows monitors.",
    verify: "create a monitor, list with all flags",
  },
  {
    id: "NAME-046", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "LIST shows activators only if KDBUS_LIST_ACTIVATORS is set.",
    verify: "UNIQUE|NAMES|QUEUED with an activator present",
  },
  {
    id: "NAME-047", level: "must", source: "implementation",
    text: "LIST shows policy holders with KDBUS_LIST_UNIQUE.",
    verify: "create a holder, list",
  },
  {
    id: "NAME-048", level: "must", source: "implementation",
    text: "LIST with flags 0, or with nothing to report, succeeds with offset equal to the pool size and list_size 0.",
    verify: "flags 0; QUEUED on a quiet bus",
  },
  {
    id: "NAME-049", level: "must", source: "kdbus.name(7)",
    text: "LIST records are adjacent, each size is a multiple of 8, and list_size is their sum.",
    verify: "walk the list",
  },
  {
    id: "NAME-050", level: "must", source: "implementation",
    text: "LIST fails with EXFULL if the pool has no room for the answer.",
    verify: "one-page pool, many names, without freeing",
  },
  {
    id: "NAME-051", level: "must", source: "kdbus.name(7)",
    text: "LIST leaves out names that a caller on a custom endpoint may not see.",
    verify: "grant SEE on one of two names",
  },
  {
    id: "NAME-052", level: "must", source: "kdbus.name(7)",
    text: "OWNED_NAME flags report ALLOW_REPLACEMENT and QUEUE as given when the name was acquired.",
    verify: "acquire with each, LIST",
  },
  {
    id: "NAME-053", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "NAME_ACQUIRE of an unregistered valid name by a permitted ordinary connection succeeds, makes the caller owner and sets PRIMARY (0x20) and ACQUIRED (0x40) in return_flags, together with ALLOW_REPLACEMENT and QUEUE as passed.",
    verify: "flags 0 give return_flags 0x60; flags 0x7 give 0x66",
  },
  {
    id: "NAME-054", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "NAME_ACQUIRE by the present owner succeeds: the remembered flags are replaced, return_flags has PRIMARY but not ACQUIRED, and no notification is sent.",
    verify: "acquire with 0, again with ALLOW_REPLACEMENT: 0, return_flags 0x22; a third connection can now replace",
  },
  {
    id: "NAME-055", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "NAME_ACQUIRE with QUEUE that has to wait sets QUEUE, IN_QUEUE and ACQUIRED (0x4c, plus ALLOW_REPLACEMENT if passed) in return_flags; asking again while waiting gives the same without ACQUIRED (0xc), keeps the place and replaces the remembered flags.",
    verify: "queue twice and compare",
  },
  {
    id: "NAME-056", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "NAME_ACQUIRE that has to wait sets exactly KDBUS_NAME_IN_QUEUE (0x8) in return_flags; every other successful NAME_ACQUIRE sets 0.",
    verify: "acquire, queue, queue again, replace",
  },
  {
    id: "NAME-057", level: "must", source: "upstream selftests (2015-08)", generations: ["2015-08"],
    text: "NAME_ACQUIRE without QUEUE by a waiting connection that cannot take the name succeeds and removes it from the queue; return_flags has neither IN_QUEUE, PRIMARY nor ACQUIRED.",
    verify: "queue, acquire with flags 0: result 0; LIST with QUEUED no longer shows it; owner releases, name is gone",
  },
  {
    id: "NAME-058", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "NAME_ACQUIRE without QUEUE by a waiting connection that cannot take the name fails with EEXIST and leaves it in the queue.",
    verify: "queue, acquire with flags 0: EEXIST; owner releases, waiter owns the name",
  },
  {
    id: "NAME-059", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A replaced owner that used QUEUE becomes the first in the waiting queue.",
    verify: "owner with ALLOW_REPLACEMENT and QUEUE, one waiter, third replaces and releases: the replaced owner owns the name again",
  },
  {
    id: "NAME-060", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A replaced owner that used QUEUE becomes the last in the waiting queue.",
    verify: "owner with ALLOW_REPLACEMENT and QUEUE, one waiter, third replaces and releases: the waiter owns the name",
  },
  {
    id: "NAME-061", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Checks of NAME_ACQUIRE come in this order: EINVAL for a bad name, EPERM, E2BIG, EEXIST; a name the caller already owns or waits for never gives E2BIG.",
    verify: "with 256 names: an owned one again succeeds, a foreign one gives E2BIG",
  },
  {
    id: "NAME-062", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Owned names and waiting places together are limited to 256 per connection; one more gives E2BIG.",
    verify: "255 owned names and one waiting place: another name gives E2BIG",
  },
  {
    id: "NAME-063", level: "must", source: "upstream selftests (2015-08)", generations: ["2015-08"],
    text: "Name flags of an owner in OWNED_NAME items, LIST and notifications have PRIMARY (0x20) set and never REPLACE_EXISTING.",
    verify: "acquire with flags 0x7; LIST shows 0x26, NAME_ADD has new flags 0x26",
  },
  {
    id: "NAME-064", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Name flags of an owner in OWNED_NAME items, LIST and notifications are the flags passed to NAME_ACQUIRE, REPLACE_EXISTING included; 0x20 and 0x40 are never set.",
    verify: "acquire with flags 0x7; LIST shows 0x7",
  },
  {
    id: "NAME-065", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "KDBUS_NAME_ACQUIRED (0x40) appears only in return_flags of NAME_ACQUIRE, never in LIST, OWNED_NAME items or notifications.",
    verify: "compare after acquiring and queueing",
  },
  {
    id: "NAME-066", level: "must", source: "upstream selftests (2015-08)", generations: ["2015-08"],
    text: "LIST shows a waiting connection with the name flags QUEUE, IN_QUEUE and ALLOW_REPLACEMENT if it asked for that, without PRIMARY.",
    verify: "queue; record has 0xc",
  },
  {
    id: "NAME-067", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "The name flags of an activator are ACTIVATOR and PRIMARY (0x30) while it owns the name, ACTIVATOR and IN_QUEUE (0x18) while an ordinary connection does.",
    verify: "LIST with ACTIVATORS before and after take-over; NAME_CHANGE at take-over has old flags 0x30",
  },
  {
    id: "NAME-068", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "The name flags of an activator that owns its name are ACTIVATOR (0x10) alone.",
    verify: "LIST with ACTIVATORS; NAME_ADD of the activator",
  },
  {
    id: "NAME-069", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "LIST with UNIQUE but without ACTIVATORS returns one record without items for each activator.",
    verify: "UNIQUE, UNIQUE|NAMES and UNIQUE|QUEUED with an activator present, before and after take-over",
  },
  {
    id: "NAME-070", level: "must", source: "implementation (2015-03), corrected",
    text: "With UNIQUE and ACTIVATORS but not NAMES, LIST returns one record without items for the implementer of an activated name and exactly one record, with the name, for the activator.",
    verify: "flags 0x5 after take-over",
  },
  {
    id: "NAME-071", level: "should", source: "implementation",
    text: "On a custom endpoint LIST with UNIQUE and a flag that asks for names leaves out a connection all of whose names asked for are invisible, and shows connections that have none; with UNIQUE alone it shows both.",
    verify: "endpoint without policy; peer owning a name: absent with UNIQUE|NAMES, present with UNIQUE",
  },
  {
    id: "NAME-072", level: "must", source: "implementation",
    text: "NAME_CHANGE at a replacement carries the flags the old owner had as owner and those of the new owner.",
    verify: "2015-08: 0x26 and 0x20 for flags 0x7 replaced by 0x1; 2015-03: 0x7 and 0x1",
  },
  {
    id: "NAME-073", level: "may", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A failing NAME_ACQUIRE may leave ALLOW_REPLACEMENT in return_flags.",
    verify: "flags 0x2 on a foreign name: EEXIST, return_flags 0 or 0x2",
  },
  {
    id: "NAME-074", level: "must", source: "implementation, corrected",
    text: "NAME_ACQUIRE refuses names with bytes above 0x7f with EINVAL.",
    verify: "a.b followed by byte 0xe9",
  },
  {
    id: "NAME-075", level: "must", source: "implementation",
    text: "NAME_RELEASE by a former owner that was replaced without QUEUE fails with EADDRINUSE.",
    verify: "owner with ALLOW_REPLACEMENT, replaced, then release",
  },
] as const satisfies readonly Requirement[];
