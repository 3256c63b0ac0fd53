import type { Requirement } from "./requirement.ts";

/** Requirements on buses. */
export const BUS = [
  {
    id: "BUS-001", level: "must", source: "kdbus.bus(7)",
    text: "BUS_MAKE on control creates the directory and its default endpoint file named bus before it returns, and makes the handle the bus owner.",
    verify: "access(<mount>/<name>/bus) right after the ioctl",
  },
  {
    id: "BUS-002", level: "must", source: "upstream selftests",
    text: "A bus name that does not start with the caller's effective UID in decimal followed by a dash is refused with EINVAL.",
    verify: "names foo, and <uid+1>-foo give EINVAL",
  },
  {
    id: "BUS-003", level: "must", source: "implementation",
    text: "The UID prefix of a bus name is the one seen from the domain's user namespace; a caller whose UID is not mapped there gets EINVAL.",
    verify: "create from a task whose uid has no mapping in the domain's namespace",
  },
  {
    id: "BUS-004", level: "must", source: "upstream selftests",
    text: "Bus names follow the system-name rule; a bad character or a trailing dash gives EINVAL, more than 63 characters ENAMETOOLONG.",
    verify: "<uid>-blah@123 and <uid>-blah- give EINVAL",
  },
  {
    id: "BUS-005", level: "must", source: "implementation",
    text: "A bus name consisting only of the prefix, such as 1000-, is refused with EINVAL.",
    verify: "BUS_MAKE with <uid>-",
  },
  {
    id: "BUS-006", level: "must", source: "upstream selftests",
    text: "BUS_MAKE with the name of an existing bus of the same domain fails with EEXIST.",
    verify: "create twice through two handles",
  },
  {
    id: "BUS-007", level: "must", source: "kdbus.bus(7)",
    text: "BUS_MAKE without a BLOOM_PARAMETER or MAKE_NAME item fails with EINVAL.",
    verify: "leave out each",
  },
  {
    id: "BUS-008", level: "must", source: "implementation",
    text: "The bloom size must be between 8 and 4096 and a multiple of 8, and n_hash at least 1; otherwise BUS_MAKE fails with EINVAL.",
    verify: "sizes 0, 4, 12, 4104 and n_hash 0 fail; 8 and 4096 succeed",
  },
  {
    id: "BUS-009", level: "must", source: "implementation",
    text: "An invalid mask in the ATTACH_FLAGS_SEND item of BUS_MAKE gives EINVAL.",
    verify: "0x4000, and bit 40",
  },
  {
    id: "BUS-010", level: "must", source: "kdbus.bus(7)",
    text: "A seventeenth live bus of the same real UID in one domain fails with EMFILE, and closing one makes room again.",
    verify: "create 16, the next fails, close one, retry",
  },
  {
    id: "BUS-011", level: "must", source: "implementation",
    text: "If both the name exists and the quota is used up, BUS_MAKE fails with EEXIST.",
    verify: "16 buses, then repeat a name",
  },
  {
    id: "BUS-012", level: "must", source: "implementation",
    text: "Bus quotas are separate per domain.",
    verify: "16 buses in one mount, another in a second mount",
  },
  {
    id: "BUS-013", level: "must", source: "implementation",
    text: "BUS_MAKE needs no privilege beyond opening control.",
    verify: "as unprivileged user",
  },
  {
    id: "BUS-014", level: "must", source: "kdbus.connection(7)",
    text: "HELLO reports in bus_flags the flags value given to BUS_MAKE.",
    verify: "create with flags 0, 1, 2, 3 and compare",
  },
  {
    id: "BUS-015", level: "must", source: "kdbus.bus(7)",
    text: "Every bus has a 16-byte random id in RFC 4122 version 4 form, the same for all connections of the bus and different for different buses.",
    verify: "compare id128 of HELLO; check byte 6 high nibble 4 and byte 8 top bits 10",
  },
  {
    id: "BUS-016", level: "must", source: "kdbus.bus(7)",
    text: "The answer slice of HELLO holds the bloom parameters given to BUS_MAKE unchanged.",
    verify: "size 64, n_hash 7 come back",
  },
  {
    id: "BUS-017", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "If BUS_MAKE got an ATTACH_FLAGS_RECV mask, HELLO with attach_flags_send lacking one of its bits fails with ECONNREFUSED.",
    verify: "bus requiring PIDS; HELLO with all flags but PIDS",
  },
  {
    id: "BUS-018", level: "must", source: "upstream selftests",
    text: "A bus made without an ATTACH_FLAGS_RECV item requires no attach flags of its connections.",
    verify: "HELLO with attach_flags_send 0 succeeds",
  },
  {
    id: "BUS-019", level: "must", source: "implementation", generations: ["2015-03"],
    text: "An all-ones ATTACH_FLAGS_RECV mask requires the flags 0x3fff.",
    verify: "HELLO with 0x3fff succeeds, with 0x1fff gives ECONNREFUSED",
  },
  {
    id: "BUS-020", level: "must", source: "kdbus.bus(7)",
    text: "Closing the bus owner handle disconnects every connection of the bus: their next ioctl gives ECONNRESET.",
    verify: "connect, close the owner, RECV",
  },
  {
    id: "BUS-021", level: "must", source: "kdbus.bus(7)",
    text: "Closing the bus owner handle removes all custom endpoints of the bus.",
    verify: "stat the endpoint file afterwards",
  },
  {
    id: "BUS-022", level: "must", source: "upstream selftests",
    text: "BUS_CREATOR_INFO returns in the caller's pool an info record with the bus id, the BUS_MAKE flags and a MAKE_NAME item holding the bus name.",
    verify: "compare with the directory name and bus_flags",
  },
  {
    id: "BUS-023", level: "must", source: "upstream selftests",
    text: "BUS_CREATOR_INFO returns only metadata allowed by the ATTACH_FLAGS_SEND mask of BUS_MAKE and requested in attach_flags; without that item only MAKE_NAME is returned.",
    verify: "bus with SEND mask PIDS|CREDS, request all: only PIDS, CREDS, MAKE_NAME",
  },
  {
    id: "BUS-024", level: "must", source: "kdbus.connection(7)",
    text: "BUS_CREATOR_INFO reports the creator as it was when BUS_MAKE ran, even if that process has changed its credentials since.",
    verify: "create the bus in a child that changes uid afterwards",
  },
  {
    id: "BUS-025", level: "must", source: "upstream selftests",
    text: "BUS_CREATOR_INFO never returns TIMESTAMP, OWNED_NAME or CONN_DESCRIPTION items.",
    verify: "request 0x3fff on a bus with an all-ones SEND mask",
  },
  {
    id: "BUS-026", level: "must", source: "implementation",
    text: "BUS_CREATOR_INFO with an invalid attach_flags value fails with EINVAL, and ignores the id field.",
    verify: "attach_flags 0x8000; id 12345",
  },
  {
    id: "BUS-027", level: "must", source: "upstream selftests",
    text: "BUS_CREATOR_INFO and CONN_INFO report info_size equal to the size field of the returned record, and the slice can be freed at offset.",
    verify: "compare, then FREE",
  },
  {
    id: "BUS-028", level: "must", source: "implementation",
    text: "Bus ids and connection ids come from one increasing counter per domain: they are non-zero, unique in the domain and not reused.",
    verify: "create buses and connections, collect ids",
  },
  {
    id: "BUS-029", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "BUS_MAKE with an ATTACH_FLAGS_RECV item fails with EINVAL whatever its value, and makes no bus.",
    verify: "all-ones mask, mask 0; the same command without the item succeeds on the same handle",
  },
  {
    id: "BUS-030", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "BUS_MAKE accepts an ATTACH_FLAGS_RECV item with a valid mask and refuses an invalid one with EINVAL.",
    verify: "all ones succeeds, 0x4000 gives EINVAL",
  },
  {
    id: "BUS-031", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "BUS_CREATOR_INFO reports only metadata kinds enabled in the module parameter attach_flags_mask.",
    verify: "bus with an all-ones SEND mask; write 0 to the parameter, only MAKE_NAME is returned",
  },
  {
    id: "BUS-032", level: "may", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Connection ids of successive HELLOs in a quiet domain are successive numbers; traffic on the bus does not advance the counter.",
    verify: "HELLO, exchange messages, HELLO: the second id is the first plus one",
  },
  {
    id: "BUS-033", level: "must", source: "implementation, corrected",
    text: "BUS_MAKE succeeds although the command line of the caller cannot be read as a string; CMDLINE is then missing in BUS_CREATOR_INFO.",
    verify: "overwrite the whole argument area with non-NUL bytes, then BUS_MAKE",
  },
] as const satisfies readonly Requirement[];
