import type { Requirement } from "./requirement.ts";

/** Requirements on numbers, structures, items and command parsing. */
export const ABI = [
  {
    id: "ABI-001", level: "must", source: "uapi header",
    text: "The 16 kdbus ioctl numbers use magic byte 0x95 and have, in the generic _IOC encoding, these values: BUS_MAKE 0x40189500, ENDPOINT_MAKE 0x40189510, ENDPOINT_UPDATE 0x40189511, HELLO 0xc0609580, UPDATE 0x40189581, BYEBYE 0x40189582, FREE 0x40209583, CONN_INFO 0x80389584, BUS_CREATOR_INFO 0x80389585, LIST 0x80289586, SEND 0x40389590, RECV 0x80409591, NAME_ACQUIRE 0x401895a0, NAME_RELEASE 0x401895a1, MATCH_ADD 0x402095b0, MATCH_REMOVE 0x402095b1.",
    verify: "issue each number on a suitable handle; none returns ENOTTY",
  },
  {
    id: "ABI-002", level: "must", source: "implementation",
    text: "An ioctl number that is not one of the 16 kdbus commands fails with ENOTTY on every kdbus file, whatever the state of the handle.",
    verify: "ioctl(fd, 0x40189512, ...) on control, untyped endpoint and connected fd gives ENOTTY",
  },
  {
    id: "ABI-003", level: "must", source: "implementation",
    text: "The stale numbers printed in old documentation (0x40209551 for UPDATE, 0x80309584 for CONN_INFO, 0x80309585 for BUS_CREATOR_INFO) are not commands and give ENOTTY.",
    verify: "issue them on a connected fd",
  },
  {
    id: "ABI-004", level: "must", source: "uapi header",
    text: "Fixed structure sizes are: cmd 24, cmd_hello 96, cmd_free 32, cmd_info 56, cmd_list 40, cmd_send 56, cmd_recv 64, cmd_match 32, msg 64, msg_info 24, info 24, item header 16.",
    verify: "a command with size one byte less than its structure gives EINVAL; the exact size is accepted",
  },
  {
    id: "ABI-005", level: "must", source: "uapi header",
    text: "All structures have identical layout for 32-bit and 64-bit user space and the same ioctl numbers work from both.",
    verify: "run the same test binary as 32-bit and 64-bit process",
  },
  {
    id: "ABI-006", level: "must", source: "uapi header",
    text: "All integers crossing the interface are in native byte order.",
    verify: "read back fields written by the kernel",
  },
  {
    id: "ABI-007", level: "must", source: "upstream selftests",
    text: "A command whose argument pointer is not a multiple of 8 fails with EFAULT.",
    verify: "HELLO with the structure address plus 1 gives EFAULT",
  },
  {
    id: "ABI-008", level: "must", source: "implementation",
    text: "A command whose structure cannot be read completely from user memory fails with EFAULT.",
    verify: "pass NULL, or a structure crossing into an unmapped page",
  },
  {
    id: "ABI-009", level: "must", source: "upstream selftests",
    text: "A command with a size field smaller than its fixed structure fails with EINVAL.",
    verify: "HELLO with size 1 gives EINVAL",
  },
  {
    id: "ABI-010", level: "must", source: "implementation",
    text: "A command with a size field greater than 32768 fails with EMSGSIZE.",
    verify: "any command with size 32776 and a buffer of that length gives EMSGSIZE",
  },
  {
    id: "ABI-011", level: "must", source: "upstream selftests",
    text: "A command with an unknown bit in flags fails with EINVAL.",
    verify: "HELLO with bit 32 set gives EINVAL; UPDATE with bit 0 set gives EINVAL",
  },
  {
    id: "ABI-012", level: "must", source: "kdbus.item(7)",
    text: "An item type that the command does not accept makes it fail with EINVAL; unknown types are never ignored.",
    verify: "FREE with an item of type 0x7777, or LIST with a NAME item, gives EINVAL",
  },
  {
    id: "ABI-013", level: "must", source: "implementation",
    text: "A second item of a type that the command does not list as repeatable makes it fail with EINVAL.",
    verify: "BUS_MAKE with two MAKE_NAME items gives EINVAL",
  },
  {
    id: "ABI-014", level: "must", source: "implementation",
    text: "A missing mandatory item makes the command fail with EINVAL (not EBADMSG).",
    verify: "BUS_MAKE without MAKE_NAME, or without BLOOM_PARAMETER, and NAME_ACQUIRE without NAME give EINVAL",
  },
  {
    id: "ABI-015", level: "must", source: "kdbus.item(7)",
    text: "An item with size below 16, or reaching beyond the size of the enclosing command, makes the command fail with EINVAL.",
    verify: "NAME_ACQUIRE with item size 8, and with item size 4096 in a small command",
  },
  {
    id: "ABI-016", level: "must", source: "kdbus.item(7)",
    text: "Items follow each other at 8-byte boundaries: the next item starts at the start of the current one plus its size rounded up to 8.",
    verify: "pass a NAME item of odd size followed by POLICY_ACCESS in HELLO of a policy holder",
  },
  {
    id: "ABI-017", level: "must", source: "implementation",
    text: "The size of a command may leave out the padding after its last item, and may also include it.",
    verify: "CONN_INFO with a NAME item: command size 56 + item size, and the same rounded up to 8, both succeed",
  },
  {
    id: "ABI-018", level: "must", source: "implementation, corrected",
    text: "If 1 to 15 bytes remain after the last complete item, the command fails with EINVAL.",
    verify: "LIST with size 48 (8 stray bytes) gives EINVAL",
  },
  {
    id: "ABI-019", level: "must", source: "implementation",
    text: "Non-zero padding bytes between items are ignored on input.",
    verify: "fill padding with 0xff; the command succeeds",
  },
  {
    id: "ABI-020", level: "must", source: "kdbus.item(7)",
    text: "Items in the answers of HELLO, LIST, CONN_INFO and BUS_CREATOR_INFO and metadata items of messages report a size that excludes padding, start at 8-byte boundaries and have zero padding.",
    verify: "walk a LIST answer with names of length not multiple of 8",
  },
  {
    id: "ABI-021", level: "must", source: "upstream selftests",
    text: "A string item is refused with EINVAL if its payload is empty, lacks the final NUL or contains an earlier NUL.",
    verify: "CONN_INFO with a NAME item whose size cuts off the terminator gives EINVAL",
  },
  {
    id: "ABI-022", level: "must", source: "upstream selftests",
    text: "MAKE_NAME and CONN_DESCRIPTION accept up to 63 characters; a payload of more than 64 bytes gives ENAMETOOLONG.",
    verify: "63 characters succeed, 64 give ENAMETOOLONG",
  },
  {
    id: "ABI-023", level: "must", source: "implementation",
    text: "MAKE_NAME and CONN_DESCRIPTION with a payload shorter than 2 bytes fail with EINVAL.",
    verify: "CONN_DESCRIPTION with the empty string gives EINVAL",
  },
  {
    id: "ABI-024", level: "must", source: "upstream selftests",
    text: "MAKE_NAME and CONN_DESCRIPTION accept only ASCII letters, digits and underscore, plus dash and dot which must not be first or last; otherwise EINVAL.",
    verify: "names with '@', with trailing '-', with leading '.' give EINVAL; 'a-b.c_d' style names succeed",
  },
  {
    id: "ABI-025", level: "must", source: "implementation",
    text: "ATTACH_FLAGS_SEND, ATTACH_FLAGS_RECV and ID items must have exactly 8 payload bytes, CREDS 64, BLOOM_PARAMETER 16, POLICY_ACCESS 24, else the command fails with EINVAL.",
    verify: "shorten or lengthen each by 8 bytes",
  },
  {
    id: "ABI-026", level: "must", source: "implementation, corrected",
    text: "A PIDS item must have exactly 24 payload bytes, else HELLO fails with EINVAL.",
    verify: "HELLO of a privileged caller with a 16-byte PIDS payload gives EINVAL",
  },
  {
    id: "ABI-027", level: "must", source: "kdbus(7)",
    text: "KDBUS_FLAG_NEGOTIATE (bit 63) is accepted by every command; the ioctl returns 0, flags in user memory becomes the mask of supported flags without bit 63, and the command has no other effect.",
    verify: "HELLO with NEGOTIATE returns flags 0xf and the handle stays untyped",
  },
  {
    id: "ABI-028", level: "must", source: "implementation",
    text: "The flag masks reported by negotiation are: BUS_MAKE and ENDPOINT_MAKE 0x3; HELLO and LIST 0xf; NAME_ACQUIRE and RECV 0x7; SEND and MATCH_ADD 0x1; all other commands 0.",
    verify: "negotiate every command, with its mandatory items, and compare",
  },
  {
    id: "ABI-029", level: "must", source: "implementation",
    text: "NEGOTIATE together with an unknown flag bit fails with EINVAL and leaves flags in user memory unchanged.",
    verify: "HELLO with bits 63 and 40",
  },
  {
    id: "ABI-030", level: "should", source: "implementation, corrected",
    text: "A negotiating command writes return_flags 0.",
    verify: "preset return_flags to all ones, negotiate, read it back",
  },
  {
    id: "ABI-031", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A command with KDBUS_FLAG_NEGOTIATE is accepted without its mandatory items: the ioctl returns 0 and flags becomes the mask of supported flags.",
    verify: "24-byte BUS_MAKE, ENDPOINT_MAKE, NAME_ACQUIRE and NAME_RELEASE with flags bit 63 give 0 and flags 0x3, 0x3, 0x7, 0",
  },
  {
    id: "ABI-032", level: "must", source: "kdbus.item(7)",
    text: "A NEGOTIATE item (type 1) has each u64 entry that the command does not accept as item type replaced by 0 in user memory; entries it accepts, including 1, stay.",
    verify: "LIST with entries {1, 15}: becomes {1, 0}; NAME_ACQUIRE with the same: unchanged",
  },
  {
    id: "ABI-033", level: "must", source: "implementation",
    text: "A NEGOTIATE item without the NEGOTIATE flag is processed and the command is executed as well, exactly as without the item.",
    verify: "LIST with a NEGOTIATE item still returns a list",
  },
  {
    id: "ABI-034", level: "must", source: "implementation",
    text: "A NEGOTIATE item whose payload is not a multiple of 8 bytes fails with EINVAL; an empty payload is accepted.",
    verify: "payload sizes 4 and 0",
  },
  {
    id: "ABI-035", level: "must", source: "implementation",
    text: "return_flags is written by every command that passed the copy-in and size checks, on success and on later failure, and is 0 unless the command defines bits (RECV, NAME_ACQUIRE).",
    verify: "preset return_flags to all ones; UPDATE with bad flag gives EINVAL and return_flags 0",
  },
  {
    id: "ABI-036", level: "must", source: "implementation",
    text: "No command changes the size field in user memory.",
    verify: "compare size before and after each command",
  },
  {
    id: "ABI-037", level: "must", source: "upstream selftests",
    text: "An attach-flags value of all ones counts as 0x3fff; any other value with bits outside 0x3fff gives EINVAL, in HELLO, UPDATE, BUS_MAKE, CONN_INFO and BUS_CREATOR_INFO alike.",
    verify: "HELLO with attach_flags_recv 0x4000 gives EINVAL, with all ones succeeds",
  },
  {
    id: "ABI-038", level: "must", source: "uapi header",
    text: "Metadata item types are 0x1000 plus the bit number of the attach flag that asks for them.",
    verify: "request single attach flags in CONN_INFO and look at the item type",
  },
  {
    id: "ABI-039", level: "must", source: "uapi header",
    text: "The CREDS item payload is eight 64-bit values (64 bytes) in the order uid, euid, suid, fsuid, gid, egid, sgid, fsgid.",
    verify: "CONN_INFO on oneself with the CREDS flag; compare with getresuid and getresgid",
  },
  {
    id: "ABI-040", level: "must", source: "upstream selftests",
    text: "The AUXGROUPS item payload is an array of 64-bit group ids.",
    verify: "item size minus 16 equals 8 times the number of supplementary groups",
  },
  {
    id: "ABI-041", level: "must", source: "uapi header",
    text: "The CAPS item payload starts with the highest known capability number as u32, followed by the inheritable, permitted, effective and bounding sets, each of last_cap/32+1 u32 words, low word first.",
    verify: "compare with /proc/self/status",
  },
  {
    id: "ABI-042", level: "must", source: "implementation",
    text: "Item types from 0x1000 up are refused with EINVAL on input, except CREDS, PIDS, SECLABEL and CONN_DESCRIPTION in HELLO, POLICY_ACCESS in HELLO, UPDATE and ENDPOINT_UPDATE, and NAME_ADD, NAME_REMOVE, NAME_CHANGE, ID_ADD and ID_REMOVE in MATCH_ADD.",
    verify: "SEND a message with a TIMESTAMP item: EINVAL",
  },
  {
    id: "ABI-043", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "The module parameter attach_flags_mask exists under /sys/module/kdbus/parameters with mode 0644, default value 10271 (0x281f), accepts unsigned decimal text, and limits which metadata items are exported.",
    verify: "read the file; write 0 and see CONN_INFO return no items",
  },
  {
    id: "ABI-044", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Kernel NAME_ADD, NAME_REMOVE and NAME_CHANGE items carry the name with its NUL directly after the 32-byte change record; their size does not count padding.",
    verify: "receive NAME_ADD for a name of odd length; item size is 16 + 32 + length + 1",
  },
  {
    id: "ABI-045", level: "must", source: "uapi header",
    text: "An ID_ADD or ID_REMOVE notification item is 32 bytes long and holds connection id and HELLO flags; REPLY_TIMEOUT and REPLY_DEAD items are 16 bytes with no payload.",
    verify: "receive them and check sizes",
  },
  {
    id: "ABI-046", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A command with KDBUS_FLAG_NEGOTIATE that lacks a mandatory item fails with EINVAL and leaves flags in user memory unchanged.",
    verify: "24-byte BUS_MAKE, ENDPOINT_MAKE, NAME_ACQUIRE and NAME_RELEASE with flags bit 63 give EINVAL, flags still bit 63",
  },
  {
    id: "ABI-047", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "SEND with KDBUS_FLAG_NEGOTIATE and a non-zero msg_address also negotiates the message: message flags holding bit 63 become 0x7 and each entry of a NEGOTIATE item in the message other than 1, 2, 4, 5, 8 and 10 becomes 0; nothing is sent.",
    verify: "message flags bit 63 and NEGOTIATE item {16}; result 0, message flags 0x7, entry 0, receiver queue empty",
  },
  {
    id: "ABI-048", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "SEND with KDBUS_FLAG_NEGOTIATE does not look at the message: it stays unchanged whatever it holds.",
    verify: "message flags bit 63 and NEGOTIATE item {16}; result 0, both unchanged",
  },
  {
    id: "ABI-049", level: "must", source: "implementation",
    text: "SEND without KDBUS_FLAG_NEGOTIATE whose message has bit 63 set in its flags fails with EINVAL.",
    verify: "command flags 0, message flags bit 63",
  },
  {
    id: "ABI-050", level: "must", source: "implementation",
    text: "A message that is really sent is refused with EINVAL if it holds a NEGOTIATE item.",
    verify: "NEGOTIATE item {1} in a message; SEND gives EINVAL, nothing is queued",
  },
  {
    id: "ABI-051", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Item type 0x10 (KDBUS_ITEM_DST_ID) is accepted by MATCH_ADD with exactly 8 payload bytes; another size gives EINVAL, and every other command and the message refuse the type with EINVAL.",
    verify: "MATCH_ADD with 8 and with 4 payload bytes; SEND of a message with that item; LIST with that item",
  },
  {
    id: "ABI-052", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Item type 0x10 is unknown: every command, MATCH_ADD included, and the message refuse it with EINVAL.",
    verify: "MATCH_ADD with type 16 and 8 payload bytes gives EINVAL",
  },
  {
    id: "ABI-053", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A NEGOTIATE item in BUS_MAKE clears the entry 13 (ATTACH_FLAGS_RECV) and keeps the entry 12 (ATTACH_FLAGS_SEND).",
    verify: "BUS_MAKE with NEGOTIATE flag, both mandatory items and entries {12, 13, 16, 1}: becomes {12, 0, 0, 1}, no bus is made",
  },
  {
    id: "ABI-054", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A NEGOTIATE item in BUS_MAKE keeps the entries 12 (ATTACH_FLAGS_SEND) and 13 (ATTACH_FLAGS_RECV).",
    verify: "BUS_MAKE with NEGOTIATE flag, both mandatory items and entries {12, 13, 16, 1}: becomes {12, 13, 0, 1}, no bus is made",
  },
  {
    id: "ABI-055", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "There is no module parameter attach_flags_mask.",
    verify: "/sys/module/kdbus/parameters/attach_flags_mask does not exist",
  },
  {
    id: "ABI-056", level: "must", source: "implementation, corrected",
    text: "MAKE_NAME and CONN_DESCRIPTION refuse bytes above 0x7f with EINVAL.",
    verify: "BUS_MAKE with byte 0xe9 after the uid prefix; HELLO with a description holding it",
  },
  {
    id: "ABI-057", level: "must", source: "implementation, corrected",
    text: "Every command with a NEGOTIATE item leaves the kernel intact, also when the object it made is destroyed later.",
    verify: "as unprivileged user: each command with a NEGOTIATE item {1}, then close the handle; the process is not killed and the mount can be unmounted",
  },
] as const satisfies readonly Requirement[];
