import type { Requirement } from "./requirement.ts";

/** Requirements on connections. */
export const CONN = [
  {
    id: "CONN-001", level: "must", source: "kdbus.connection(7)",
    text: "HELLO on an endpoint handle makes it a connection and returns id, bus_flags, id128, offset, items_size and return_flags 0; the input fields attach_flags_send, attach_flags_recv and pool_size come back unchanged.",
    verify: "compare the structure before and after",
  },
  {
    id: "CONN-002", level: "must", source: "kdbus.connection(7)",
    text: "Connection ids are neither 0 nor all ones, unique within the domain, increase over time and are not reused.",
    verify: "connect and disconnect repeatedly, compare ids",
  },
  {
    id: "CONN-003", level: "must", source: "kdbus.connection(7)",
    text: "HELLO allocates one pool slice of 32 bytes at offset, holding exactly one BLOOM_PARAMETER item; items_size is 32.",
    verify: "map the pool and parse; FREE the offset",
  },
  {
    id: "CONN-004", level: "must", source: "upstream selftests",
    text: "HELLO with a pool_size that is not a positive whole number of pages fails with EINVAL.",
    verify: "0 and 4097",
  },
  {
    id: "CONN-005", level: "must", source: "kdbus.connection(7)",
    text: "HELLO with more than one of ACTIVATOR, POLICY_HOLDER and MONITOR fails with EINVAL, for unprivileged callers as well.",
    verify: "all pairs",
  },
  {
    id: "CONN-006", level: "must", source: "upstream selftests",
    text: "HELLO as activator or policy holder without a NAME item fails with EINVAL.",
    verify: "ACTIVATOR without items",
  },
  {
    id: "CONN-007", level: "must", source: "implementation",
    text: "HELLO of an ordinary or monitor connection with a NAME item fails with EINVAL.",
    verify: "NAME a.b with flags 0 and with MONITOR",
  },
  {
    id: "CONN-008", level: "must", source: "upstream selftests",
    text: "HELLO with an invalid name in the NAME item fails with EINVAL.",
    verify: ".example.a and example as policy holder",
  },
  {
    id: "CONN-009", level: "must", source: "implementation, corrected",
    text: "HELLO as activator with a wildcard name fails with EINVAL.",
    verify: "NAME com.example.*",
  },
  {
    id: "CONN-010", level: "must", source: "kdbus.policy(7)",
    text: "HELLO as policy holder accepts a wildcard name.",
    verify: "NAME com.example.*",
  },
  {
    id: "CONN-011", level: "must", source: "upstream selftests",
    text: "HELLO as activator, policy holder or monitor without privilege fails with EPERM.",
    verify: "as another user on a world-accessible bus",
  },
  {
    id: "CONN-012", level: "must", source: "kdbus.connection(7)",
    text: "HELLO with a CREDS, PIDS or SECLABEL item without privilege fails with EPERM.",
    verify: "each item as another user",
  },
  {
    id: "CONN-013", level: "must", source: "implementation",
    text: "CONN_DESCRIPTION is accepted from unprivileged callers and reported by CONN_INFO when requested.",
    verify: "HELLO with a description, CONN_INFO with the CONN_DESCRIPTION flag",
  },
  {
    id: "CONN-014", level: "must", source: "implementation",
    text: "HELLO with invalid attach_flags_send or attach_flags_recv fails with EINVAL.",
    verify: "bit 14 in each",
  },
  {
    id: "CONN-015", level: "must", source: "implementation",
    text: "If several HELLO checks fail, the earlier one in the documented order decides: a bad pool size wins over missing privilege, and missing privilege wins over an invalid attach mask.",
    verify: "unprivileged MONITOR with pool_size 1 gives EINVAL; with a good pool size and attach_flags_send 0x4000 gives EPERM",
  },
  {
    id: "CONN-016", level: "must", source: "implementation",
    text: "HELLO with POLICY_ACCESS items on an ordinary connection succeeds without effect.",
    verify: "names stay as inaccessible as before",
  },
  {
    id: "CONN-017", level: "must", source: "implementation",
    text: "A second NAME item in HELLO fails with EINVAL.",
    verify: "policy holder with two names",
  },
  {
    id: "CONN-018", level: "must", source: "kdbus.connection(7)",
    text: "HELLO with more than 1024 live connections of the same user in the domain, counted over all its buses, fails with EMFILE; closing the handle of one makes room.",
    verify: "open connections until failure, close one, retry",
  },
  {
    id: "CONN-019", level: "must", source: "kdbus.connection(7)",
    text: "HELLO on an endpoint that has ended fails with ESHUTDOWN.",
    verify: "open, close the bus owner, HELLO",
  },
  {
    id: "CONN-020", level: "must", source: "implementation (2015-03), corrected",
    text: "HELLO as activator for a name that already has an activator fails with EEXIST.",
    verify: "two activators with one name; the first keeps working",
  },
  {
    id: "CONN-021", level: "must", source: "upstream selftests",
    text: "HELLO as activator or policy holder whose policy entry exists already fails with EEXIST.",
    verify: "policy holder for a.b, then an activator for a.b",
  },
  {
    id: "CONN-022", level: "should", source: "implementation, corrected",
    text: "A failed HELLO emits no notifications.",
    verify: "match ID_ADD and NAME_ADD in a third connection while HELLO of a policy holder and of an activator fails with EEXIST",
  },
  {
    id: "CONN-023", level: "must", source: "kdbus.connection(7)",
    text: "A handle is privileged if its opener's effective UID equals the owner of the bus or had CAP_IPC_OWNER in the domain's user namespace when it opened the default endpoint.",
    verify: "MONITOR succeeds for owner and for root, fails for others",
  },
  {
    id: "CONN-024", level: "must", source: "implementation",
    text: "The privilege of a handle is decided at open, not at HELLO.",
    verify: "open as owner, drop to another uid, HELLO as monitor succeeds",
  },
  {
    id: "CONN-025", level: "must", source: "implementation",
    text: "ACCEPT_FD may be combined with every connection kind and is reported with the other HELLO flags in info.flags and ID_ADD.",
    verify: "CONN_INFO flags of an activator with ACCEPT_FD are 0x3",
  },
  {
    id: "CONN-026", level: "must", source: "kdbus.item(7)",
    text: "Creating and removing ordinary, activator and policy-holder connections is announced by ID_ADD and ID_REMOVE with the connection id and its HELLO flags.",
    verify: "match both in another connection",
  },
  {
    id: "CONN-027", level: "must", source: "upstream selftests",
    text: "Creating and removing a monitor causes no ID_ADD or ID_REMOVE.",
    verify: "match both, create and close a monitor, RECV gives EAGAIN",
  },
  {
    id: "CONN-028", level: "must", source: "upstream selftests",
    text: "SEND, BYEBYE, NAME_ACQUIRE, NAME_RELEASE, MATCH_ADD and MATCH_REMOVE on activator, policy-holder and monitor connections fail with EOPNOTSUPP.",
    verify: "each command on each kind",
  },
  {
    id: "CONN-029", level: "must", source: "implementation",
    text: "RECV and FREE on a policy-holder connection fail with EOPNOTSUPP and work on activators and monitors.",
    verify: "each",
  },
  {
    id: "CONN-030", level: "must", source: "implementation",
    text: "The EOPNOTSUPP for an unsuitable connection kind comes before parsing.",
    verify: "SEND with NULL on a monitor gives EOPNOTSUPP",
  },
  {
    id: "CONN-031", level: "must", source: "implementation",
    text: "LIST, CONN_INFO and BUS_CREATOR_INFO work on every connection kind.",
    verify: "each on activator, holder, monitor",
  },
  {
    id: "CONN-032", level: "must", source: "upstream selftests",
    text: "A message sent by id to an activator, policy holder or monitor fails with ENXIO.",
    verify: "SEND with dst_id of an activator",
  },
  {
    id: "CONN-033", level: "must", source: "upstream selftests",
    text: "UPDATE with ATTACH_FLAGS_RECV changes which metadata later messages carry.",
    verify: "drop TIMESTAMP, receive a message without it",
  },
  {
    id: "CONN-034", level: "must", source: "kdbus.connection(7)",
    text: "UPDATE with ATTACH_FLAGS_SEND changes which metadata CONN_INFO reports about the connection.",
    verify: "set 0, CONN_INFO by a peer returns no items",
  },
  {
    id: "CONN-035", level: "must", source: "upstream selftests",
    text: "UPDATE with an invalid attach mask fails with EINVAL.",
    verify: "0x4000 in either item",
  },
  {
    id: "CONN-036", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "UPDATE with an ATTACH_FLAGS_SEND mask lacking a bus-required flag fails with EINVAL.",
    verify: "bus requiring PIDS, UPDATE without PIDS",
  },
  {
    id: "CONN-037", level: "must", source: "implementation",
    text: "UPDATE with ATTACH_FLAGS_SEND fails with EOPNOTSUPP on activators and policy holders.",
    verify: "each kind",
  },
  {
    id: "CONN-038", level: "must", source: "implementation",
    text: "UPDATE with ATTACH_FLAGS_RECV fails with EOPNOTSUPP on policy holders and works on activators and monitors.",
    verify: "each kind",
  },
  {
    id: "CONN-039", level: "must", source: "upstream selftests",
    text: "UPDATE with NAME or POLICY_ACCESS items fails with EOPNOTSUPP on anything but a policy holder.",
    verify: "on an ordinary connection",
  },
  {
    id: "CONN-040", level: "must", source: "upstream selftests",
    text: "UPDATE on a policy holder replaces its policy entry, possibly under another name.",
    verify: "holder for com.example.a updates to com.example.c",
  },
  {
    id: "CONN-041", level: "must", source: "kdbus.connection(7)",
    text: "UPDATE on a policy holder with two NAME items fails with E2BIG.",
    verify: "two groups",
  },
  {
    id: "CONN-042", level: "must", source: "implementation",
    text: "An UPDATE that fails changes nothing, even if some of its items were fine.",
    verify: "valid RECV item plus POLICY_ACCESS on an ordinary connection; RECV mask unchanged",
  },
  {
    id: "CONN-043", level: "must", source: "implementation",
    text: "UPDATE without items succeeds and changes nothing.",
    verify: "empty UPDATE",
  },
  {
    id: "CONN-044", level: "must", source: "upstream selftests",
    text: "CONN_INFO by id returns an info record with that id and the HELLO flags of the connection.",
    verify: "own id and a peer's id",
  },
  {
    id: "CONN-045", level: "must", source: "kdbus.connection(7)",
    text: "CONN_INFO by NAME with id 0 describes the present owner, or the activator while it holds the name.",
    verify: "before and after an implementer takes over",
  },
  {
    id: "CONN-046", level: "must", source: "implementation",
    text: "CONN_INFO with NAME and a non-zero id fails with ESRCH unless the owner has that id.",
    verify: "right and wrong id",
  },
  {
    id: "CONN-047", level: "must", source: "upstream selftests",
    text: "CONN_INFO for an unregistered or syntactically impossible name fails with ESRCH.",
    verify: "non.existent.name and .x",
  },
  {
    id: "CONN-048", level: "must", source: "upstream selftests",
    text: "CONN_INFO for an unknown id fails with ENXIO.",
    verify: "id 0x0fffffffffffffff",
  },
  {
    id: "CONN-049", level: "must", source: "kdbus.connection(7)",
    text: "CONN_INFO with id 0 and no NAME fails with EINVAL.",
    verify: "both missing",
  },
  {
    id: "CONN-050", level: "must", source: "implementation",
    text: "CONN_INFO refuses an OWNED_NAME item with EINVAL; the lookup item is NAME.",
    verify: "type 0x1004 instead of 15",
  },
  {
    id: "CONN-051", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "CONN_INFO returns exactly the metadata in the intersection of requested flags and the current send mask of the described connection, as far as it was recorded.",
    verify: "vary each mask",
  },
  {
    id: "CONN-052", level: "must", source: "kdbus.connection(7)",
    text: "CONN_INFO reports process data as recorded at HELLO, not the present state, and never a TIMESTAMP item.",
    verify: "change credentials after HELLO, compare",
  },
  {
    id: "CONN-053", level: "must", source: "upstream selftests",
    text: "CONN_INFO reports one OWNED_NAME item for each name the connection owns at the time of the call.",
    verify: "acquire two names, count items",
  },
  {
    id: "CONN-054", level: "should", source: "implementation, corrected",
    text: "CONN_INFO for the id of a monitor fails with ENXIO.",
    verify: "as another connection",
  },
  {
    id: "CONN-055", level: "must", source: "kdbus.connection(7)",
    text: "With faked CREDS, PIDS or SECLABEL, CONN_INFO returns only the faked kinds plus names and description, with the given values.",
    verify: "HELLO with CREDS of uid 1; request all flags",
  },
  {
    id: "CONN-056", level: "must", source: "implementation, corrected",
    text: "Faked CREDS value 0xffffffff means unset and is reported as 0xffffffff; an id not mapped in the caller's user namespace or wider than 32 bits gives EINVAL.",
    verify: "HELLO with uid 0xffffffff, with 0x100000000",
  },
  {
    id: "CONN-057", level: "must", source: "implementation",
    text: "Faked PIDS value 0 means unset; an id that is no live process or thread in the caller's pid namespace gives EINVAL.",
    verify: "pid 0; pid 4194303",
  },
  {
    id: "CONN-058", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Faked credentials do not change quota accounting, privilege or policy decisions.",
    verify: "1020 connections of root with faked uid 1000 use up the quota of root, not that of uid 1000",
  },
  {
    id: "CONN-059", level: "must", source: "upstream selftests",
    text: "FREE on the start offset of a published slice succeeds once; a second FREE, an offset inside a slice, an unused offset or one beyond the pool fails with ENXIO.",
    verify: "offset 0 unused, POOL_SIZE + 1, double free",
  },
  {
    id: "CONN-060", level: "must", source: "implementation",
    text: "FREE with offset equal to the pool size succeeds and does nothing.",
    verify: "twice in a row",
  },
  {
    id: "CONN-061", level: "must", source: "upstream selftests",
    text: "Mapping the pool writable, shared or private, fails with EPERM, and a read-only mapping cannot be made writable.",
    verify: "mmap with PROT_WRITE; mprotect of a read mapping",
  },
  {
    id: "CONN-062", level: "must", source: "implementation",
    text: "Mapping more than pool_size bytes fails with EFAULT.",
    verify: "length pool_size plus one page",
  },
  {
    id: "CONN-063", level: "must", source: "kdbus.pool(7)",
    text: "Parts of the pool can be mapped at page-aligned offsets.",
    verify: "map one page at offset of page size and compare content",
  },
  {
    id: "CONN-064", level: "must", source: "implementation",
    text: "Pool mappings stay readable after BYEBYE and after closing the handle.",
    verify: "map, close, read",
  },
  {
    id: "CONN-065", level: "must", source: "upstream selftests",
    text: "BYEBYE on a connection with queued messages fails with EBUSY and leaves it connected.",
    verify: "send a message to it first",
  },
  {
    id: "CONN-066", level: "must", source: "upstream selftests",
    text: "BYEBYE with an empty queue succeeds; every later ioctl on the handle, including BYEBYE, fails with ECONNRESET.",
    verify: "second BYEBYE, LIST, FREE",
  },
  {
    id: "CONN-067", level: "must", source: "implementation",
    text: "BYEBYE succeeds although slices were not freed.",
    verify: "keep the HELLO slice",
  },
  {
    id: "CONN-068", level: "must", source: "kdbus.message(7)",
    text: "After disconnect, messages to the id fail with ENXIO and to its former names with ESRCH (if nobody took them over).",
    verify: "SEND to id and name",
  },
  {
    id: "CONN-069", level: "must", source: "kdbus.connection(7)",
    text: "When a connection ends, its queued messages are discarded and its names are released or handed on.",
    verify: "close with two owned names; NAME_REMOVE twice",
  },
  {
    id: "CONN-070", level: "must", source: "implementation",
    text: "Notifications about the names of an ending connection come before its ID_REMOVE.",
    verify: "one observer matching both",
  },
  {
    id: "CONN-071", level: "must", source: "implementation, corrected",
    text: "When a connection ends, each asynchronous request waiting for its reply gets exactly one REPLY_DEAD notification with the request cookie, whether or not the request had been received.",
    verify: "two requests, one received, one still queued; close; count notifications",
  },
  {
    id: "CONN-072", level: "must", source: "implementation, corrected",
    text: "When a connection ends, a synchronous SEND waiting for its reply fails with EPIPE and gets no REPLY_DEAD message.",
    verify: "block in SEND, close the peer",
  },
  {
    id: "CONN-073", level: "must", source: "implementation",
    text: "A synchronous SEND whose own connection is disconnected while it waits fails with ECONNRESET.",
    verify: "sender on a custom endpoint, close the endpoint owner handle while the call waits",
  },
  {
    id: "CONN-074", level: "must", source: "kdbus.connection(7)",
    text: "Closing the last reference to a connected handle disconnects it without regard to queued messages.",
    verify: "close with a full queue; ID_REMOVE is seen",
  },
  {
    id: "CONN-075", level: "must", source: "upstream selftests",
    text: "When a policy holder or activator ends, its policy entries are gone at once.",
    verify: "TALK that depended on it gives EPERM",
  },
  {
    id: "CONN-076", level: "must", source: "implementation",
    text: "CAP_IPC_OWNER held only in a user namespace below that of the domain does not make a handle privileged.",
    verify: "root inside a new user namespace, HELLO as monitor on an outer bus gives EPERM",
  },
  {
    id: "CONN-077", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "HELLO whose attach_flags_send lacks a bus-required flag fails with ECONNREFUSED only if no check up to the validity of both masks failed.",
    verify: "unprivileged MONITOR lacking the flag gives EPERM; attach_flags_recv 0x4000 gives EINVAL",
  },
  {
    id: "CONN-078", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "The credentials used for a connection as passive side, and the real UID its quota is charged to, are those of the task that opened the endpoint file, not of the task that called HELLO.",
    verify: "open as uid 1000, HELLO as uid 65534: without policy uid 1000 may SEND to it and uid 65534 gets EPERM",
  },
  {
    id: "CONN-079", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "The credentials used for a connection as passive side, and the real UID its quota is charged to, are those of the task that called HELLO, not of the task that opened the endpoint file.",
    verify: "open as uid 1000, HELLO as uid 65534: without policy uid 65534 may SEND to it and uid 1000 gets EPERM",
  },
  {
    id: "CONN-080", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Faked credentials do not change privilege or policy decisions; without CAP_IPC_OWNER at open they do not change quota accounting either.",
    verify: "connection of the bus owner with a faked uid still owns names; an unprivileged peer of the faked uid gets EPERM",
  },
  {
    id: "CONN-081", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "UPDATE with ATTACH_FLAGS_SEND 0 does not keep CREDS, PIDS, AUXGROUPS, OWNED_NAME, CONN_DESCRIPTION and TIMESTAMP out of later messages to receivers that ask for them.",
    verify: "set 0; a receiver of another user asking for everything gets these items",
  },
  {
    id: "CONN-082", level: "must", source: "implementation",
    text: "UPDATE refuses a CONN_DESCRIPTION item with EINVAL; a description is fixed at HELLO.",
    verify: "UPDATE with a description",
  },
  {
    id: "CONN-083", level: "must", source: "implementation",
    text: "HELLO with a page-aligned pool_size of 2^63 fails with EINVAL.",
    verify: "pool_size 0x8000000000000000",
  },
  {
    id: "CONN-084", level: "should", source: "implementation",
    text: "HELLO with a pool larger than the system may commit fails with ENOMEM.",
    verify: "pool_size 2^62 under default overcommit",
  },
  {
    id: "CONN-085", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "CONN_INFO returns exactly the metadata in the intersection of requested flags, the current send mask of the described connection and the module parameter attach_flags_mask, as far as it was recorded.",
    verify: "vary each mask; with parameter 0 no items are returned",
  },
  {
    id: "CONN-086", level: "must", source: "implementation, corrected",
    text: "HELLO succeeds although the command line of the caller cannot be read as a string; CMDLINE is then missing in CONN_INFO.",
    verify: "overwrite the whole argument area with non-NUL bytes, then HELLO",
  },
] as const satisfies readonly Requirement[];
