import type { Requirement } from "./requirement.ts";

/** Requirements on metadata. */
export const META = [
  {
    id: "META-001", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A metadata item is attached to a message only if its bit is set in the module mask, in the sender's attach_flags_send and in the receiver's attach_flags_recv.",
    verify: "for each of the 14 bits clear it in one of the three places",
  },
  {
    id: "META-002", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "The module parameter attach_flags_mask is readable and writable by root at run time, defaults to 0x281f, and limits message, CONN_INFO and BUS_CREATOR_INFO items alike.",
    verify: "parameter file below /sys/module, decimal 64-bit value",
  },
  {
    id: "META-003", level: "must", source: "upstream selftests",
    text: "KDBUS_CMD_UPDATE with KDBUS_ITEM_ATTACH_FLAGS_RECV changes what is attached to messages sent to the connection after it returned.",
    verify: "message, UPDATE, message; compare item sets",
  },
  {
    id: "META-004", level: "must", source: "implementation",
    text: "An attach mask with a bit outside of 0x3fff fails with EINVAL in HELLO, UPDATE, CONN_INFO, BUS_CREATOR_INFO and BUS_MAKE; all ones counts as 0x3fff.",
    verify: "0x4000 and all ones in each place",
  },
  {
    id: "META-005", level: "must", source: "kdbus.connection(7)", generations: ["2015-03"],
    text: "HELLO with attach_flags_send lacking a bit required by the bus fails with ECONNREFUSED, UPDATE to such a mask with EINVAL.",
    verify: "bus made with ATTACH_FLAGS_RECV",
  },
  {
    id: "META-006", level: "must", source: "kdbus(7)",
    text: "Process metadata of a message describes the task that calls SEND, not the one that called HELLO.",
    verify: "fork after HELLO, child changes uid and sends",
  },
  {
    id: "META-007", level: "must", source: "kdbus.connection(7)",
    text: "Process metadata returned by CONN_INFO describes the task that called HELLO, as it was then, even if that process has ended.",
    verify: "descriptor passed on, creator exits",
  },
  {
    id: "META-008", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_CREDS holds real, effective, saved and filesystem uid and gid of the sender as eight 64-bit values.",
    verify: "setresuid/setfsuid to distinct values",
  },
  {
    id: "META-009", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_PIDS holds the process id, thread id and parent process id of the sender.",
    verify: "send from a second thread",
  },
  {
    id: "META-010", level: "must", source: "implementation",
    text: "KDBUS_ITEM_AUXGROUPS lists exactly the supplementary groups of the sender, one 64-bit value each.",
    verify: "setgroups with 0, 1 and 32 groups, compare as sets",
  },
  {
    id: "META-011", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_TID_COMM holds the name of the sending thread, KDBUS_ITEM_PID_COMM that of the main thread.",
    verify: "prctl PR_SET_NAME in both",
  },
  {
    id: "META-012", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_EXE holds the path of the sender's executable if sender and receiver share the root directory.",
    verify: "readlink /proc/self/exe",
  },
  {
    id: "META-013", level: "must", source: "implementation",
    text: "KDBUS_ITEM_EXE is absent if sender and receiver have different root directories.",
    verify: "sender in a chroot",
  },
  {
    id: "META-014", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_CMDLINE starts with the sender's argv[0] and its NUL.",
    verify: "string compare",
  },
  {
    id: "META-015", level: "should", source: "implementation, corrected",
    text: "KDBUS_ITEM_CMDLINE holds all argument strings of the sender, each with its NUL.",
    verify: "both original generations deliver argv[0] only",
  },
  {
    id: "META-016", level: "must", source: "implementation, corrected",
    text: "KDBUS_ITEM_CGROUP holds the sender's cgroup path as shown in /proc/self/cgroup (line 0:: on a unified hierarchy).",
    verify: "string compare, also after moving the sender to another cgroup; the originals ported to Linux 6.1 report / on a system with the unified hierarchy only",
  },
  {
    id: "META-017", level: "must", source: "implementation",
    text: "KDBUS_ITEM_CAPS holds last_cap equal to /proc/sys/kernel/cap_last_cap and the inheritable, permitted, effective and bounding sets in this order, low word first, with no bit above last_cap.",
    verify: "compare with /proc/self/status after dropping some capabilities",
  },
  {
    id: "META-018", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_SECLABEL, if present, is a NUL-terminated string equal to the sender's label; without a labelling security module the item is absent and SEND succeeds.",
    verify: "compare with /proc/self/attr/current",
  },
  {
    id: "META-019", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_AUDIT holds sessionid and loginuid equal to /proc/self/sessionid and /proc/self/loginuid.",
    verify: "compare with procfs",
  },
  {
    id: "META-020", level: "must", source: "kdbus.item(7)",
    text: "One KDBUS_ITEM_OWNED_NAME per well-known name the sender owns at send time is attached, with the name flags; names it is only queued for are not.",
    verify: "own two names, wait for a third",
  },
  {
    id: "META-021", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_CONN_DESCRIPTION holds the description given at HELLO; without description the item is absent.",
    verify: "two connections, with and without description",
  },
  {
    id: "META-022", level: "must", source: "kdbus.item(7)",
    text: "KDBUS_ITEM_TIMESTAMP has monotonic_ns and realtime_ns between the clock values read by the sender before and after SEND.",
    verify: "clock_gettime around SEND",
  },
  {
    id: "META-023", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "TIMESTAMP seqnum is unique within a domain and is the same for all receivers of one message.",
    verify: "broadcast to several receivers and a monitor",
  },
  {
    id: "META-024", level: "must", source: "implementation",
    text: "Metadata items are found in received messages only as made by the kernel: items of these types in a sent message make SEND fail with EINVAL.",
    verify: "one send per type 0x1000 to 0x100d",
  },
  {
    id: "META-025", level: "must", source: "implementation, corrected",
    text: "An item that cannot be collected because of the sender's state is left out and SEND succeeds.",
    verify: "sender overwrites its argument area without NUL, receiver wants CMDLINE: SEND returns 0 (both originals: EINVAL), for unicast, broadcast and reply",
  },
  {
    id: "META-026", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "CONN_INFO returns items for module mask AND target's attach_flags_send AND requested attach_flags, never TIMESTAMP.",
    verify: "all combinations for a few bits; look for TIMESTAMP",
  },
  {
    id: "META-027", level: "must", source: "upstream selftests",
    text: "CONN_INFO returns the names owned at the time of the query.",
    verify: "acquire, query, release, query",
  },
  {
    id: "META-028", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "BUS_CREATOR_INFO returns the bus name in KDBUS_ITEM_MAKE_NAME always, and process items for module mask AND creator mask of the bus AND requested flags.",
    verify: "buses made with creator mask 0 and all",
  },
  {
    id: "META-029", level: "must", source: "kdbus.connection(7)",
    text: "CREDS, PIDS or SECLABEL items at HELLO on a handle that is not privileged fail with EPERM.",
    verify: "unprivileged uid on a world-accessible bus",
  },
  {
    id: "META-030", level: "must", source: "kdbus(7)",
    text: "A connection with faked CREDS, PIDS or SECLABEL is described by exactly these process items in CONN_INFO, and its messages carry no process items.",
    verify: "OWNED_NAME, CONN_DESCRIPTION and TIMESTAMP still appear",
  },
  {
    id: "META-031", level: "must", source: "implementation",
    text: "Faked PIDS naming no existing process (and not 0), or faked ids without mapping in the caller's user namespace (and not 0xffffffff), make HELLO fail with EINVAL.",
    verify: "pid beyond pid_max; uid unmapped in a child user namespace",
  },
  {
    id: "META-032", level: "must", source: "implementation",
    text: "Policy decisions use the real credentials of a connection with faked CREDS.",
    verify: "root makes a connection faking uid 1000; an unprivileged sender with uid 1000 gets EPERM",
  },
  {
    id: "META-033", level: "must", source: "implementation",
    text: "All receivers of a broadcast get metadata describing the sender at the same moment, each limited to its own receive mask.",
    verify: "two receivers with different masks",
  },
  {
    id: "META-034", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "CREDS, PIDS, AUXGROUPS, OWNED_NAME, CONN_DESCRIPTION and TIMESTAMP are attached to a message whenever the receiver's attach_flags_recv asks for them, whatever the sender's attach_flags_send says.",
    verify: "sender with mask 0, receiver asks for each bit; items without content (no name, no description) stay absent",
  },
  {
    id: "META-035", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "TID_COMM, PID_COMM, EXE, CMDLINE, CGROUP, CAPS, SECLABEL and AUDIT are attached to a message if the receiver asks for them and either the sender's attach_flags_send has the bit or the sending task is visible in the pid namespace the receiver had at HELLO.",
    verify: "sender with mask 0 in the same pid namespace: all attached",
  },
  {
    id: "META-036", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Of the eight process items other than CREDS, PIDS and AUXGROUPS, those missing in the sender's attach_flags_send are not attached if the sending task has no pid in the receiver's pid namespace; those present in the mask are.",
    verify: "sender in the parent, receiver in a child pid namespace, masks 0 and all",
  },
  {
    id: "META-037", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A metadata item whose bit is clear in the receiver's attach_flags_recv is never attached to a message of a connection.",
    verify: "each bit cleared in turn; kernel notifications are exempt",
  },
  {
    id: "META-038", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "There is no module parameter attach_flags_mask, and CGROUP, CAPS, EXE, CMDLINE and AUDIT are attached on request without further configuration.",
    verify: "no such file below /sys/module; receiver asks for all",
  },
  {
    id: "META-039", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "HELLO and UPDATE accept attach_flags_send 0 on every bus.",
    verify: "mask 0 in both; never ECONNREFUSED",
  },
  {
    id: "META-040", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "TIMESTAMP seqnum is unique within a bus, counts the messages of that bus only, and is the same for all receivers of one message.",
    verify: "two buses used in turn: the numbers of each are not moved by traffic or connections of the other; broadcast to several receivers and a monitor",
  },
  {
    id: "META-041", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "CONN_INFO returns items for target's attach_flags_send AND requested attach_flags, never TIMESTAMP; the rules that make items implicit in messages do not apply.",
    verify: "target with mask 0, all requested: no item",
  },
  {
    id: "META-042", level: "must", source: "upstream selftests", generations: ["2015-08"],
    text: "BUS_CREATOR_INFO returns the bus name in KDBUS_ITEM_MAKE_NAME always, and process items for creator mask of the bus AND requested flags.",
    verify: "buses made with creator mask 0 and all",
  },
  {
    id: "META-043", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "The flags of a KDBUS_ITEM_OWNED_NAME attached to messages or returned by CONN_INFO have KDBUS_NAME_PRIMARY (0x20) set, and besides it only ALLOW_REPLACEMENT, QUEUE and ACTIVATOR as they apply.",
    verify: "acquire with flags 0: 0x20",
  },
  {
    id: "META-044", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "The flags of a KDBUS_ITEM_OWNED_NAME attached to messages or returned by CONN_INFO are those given to NAME_ACQUIRE, plus ACTIVATOR for an activator.",
    verify: "acquire with flags 0: 0",
  },
  {
    id: "META-045", level: "must", source: "implementation",
    text: "A connection with faked CREDS, PIDS or SECLABEL is accepted from every privileged handle (bus owner or CAP_IPC_OWNER), each of the three items alone and in any combination.",
    verify: "all seven combinations, CONN_INFO shows exactly those passed",
  },
  {
    id: "META-046", level: "must", source: "implementation",
    text: "KDBUS_CMD_UPDATE with KDBUS_ITEM_ATTACH_FLAGS_SEND changes what CONN_INFO about the connection returns after it returned.",
    verify: "CONN_INFO, UPDATE to 0, CONN_INFO",
  },
  {
    id: "META-047", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "KDBUS_CMD_UPDATE with KDBUS_ITEM_ATTACH_FLAGS_SEND changes what is attached to messages the connection sends after it returned.",
    verify: "message, UPDATE to 0, message; compare item sets",
  },
] as const satisfies readonly Requirement[];
