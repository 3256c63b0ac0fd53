import type { Requirement } from "./requirement.ts";

/** Requirements on policy. */
export const POL = [
  {
    id: "POL-001", level: "must", source: "upstream selftests",
    text: "On a bus without policy an unprivileged connection cannot own any name (EPERM).",
    verify: "NAME_ACQUIRE as another user",
  },
  {
    id: "POL-002", level: "must", source: "upstream selftests",
    text: "A privileged connection can own any name regardless of policy entries.",
    verify: "bus owner acquires a name restricted to another uid",
  },
  {
    id: "POL-003", level: "must", source: "upstream selftests",
    text: "A privileged connection can send to any peer.",
    verify: "bus owner sends to another user's connection",
  },
  {
    id: "POL-004", level: "must", source: "upstream selftests",
    text: "An unprivileged connection sending to a peer of another user without TALK gets EPERM.",
    verify: "SEND by id and by name",
  },
  {
    id: "POL-005", level: "must", source: "upstream selftests",
    text: "Connections of the same user may talk on the default endpoint without policy: the sender's effective UID is compared with the real UID recorded for the peer.",
    verify: "two unprivileged connections of one uid",
  },
  {
    id: "POL-006", level: "must", source: "kdbus.policy(7)",
    text: "A TALK grant on one name owned by a peer allows sending to that peer by id and by any of its names.",
    verify: "peer owns two names, policy on one",
  },
  {
    id: "POL-007", level: "must", source: "implementation",
    text: "A grant on a name counts only while the peer owns it; names it waits for do not count.",
    verify: "queue instead of own: EPERM",
  },
  {
    id: "POL-008", level: "must", source: "upstream selftests",
    text: "An OWN grant includes TALK and SEE; a TALK grant includes SEE.",
    verify: "OWN for world: unprivileged SEND succeeds",
  },
  {
    id: "POL-009", level: "must", source: "upstream selftests",
    text: "SEE or TALK grants do not allow owning.",
    verify: "NAME_ACQUIRE gives EPERM",
  },
  {
    id: "POL-010", level: "must", source: "upstream selftests",
    text: "A SEE grant does not allow sending.",
    verify: "SEND gives EPERM",
  },
  {
    id: "POL-011", level: "must", source: "upstream selftests",
    text: "The highest right among all matching grants of an entry applies, independent of their order.",
    verify: "matching OWN in the middle of five grants",
  },
  {
    id: "POL-012", level: "must", source: "upstream selftests",
    text: "USER grants match the effective UID of the calling task.",
    verify: "uid matches and does not match",
  },
  {
    id: "POL-013", level: "must", source: "implementation",
    text: "GROUP grants match the effective GID or a supplementary group of the calling task.",
    verify: "each case",
  },
  {
    id: "POL-014", level: "must", source: "upstream selftests",
    text: "WORLD grants match everyone and their id field is ignored.",
    verify: "id set to an arbitrary value",
  },
  {
    id: "POL-015", level: "must", source: "implementation, corrected",
    text: "Policy ids are translated from the uploader's user namespace; an id without mapping, -1, or a value wider than 32 bits gives EINVAL.",
    verify: "upload id 0xffffffff, 0x100000000",
  },
  {
    id: "POL-016", level: "must", source: "implementation",
    text: "A POLICY_ACCESS type other than 1, 2, 3 or access other than 0, 1, 2 gives EINVAL.",
    verify: "type 0, type 4, access 3",
  },
  {
    id: "POL-017", level: "must", source: "kdbus.connection(7)",
    text: "A POLICY_ACCESS item before any NAME gives EINVAL for HELLO of holders, UPDATE and ENDPOINT_UPDATE.",
    verify: "items in wrong order",
  },
  {
    id: "POL-018", level: "must", source: "upstream selftests",
    text: "An invalid name in a policy upload gives EINVAL.",
    verify: "UPDATE with .example.* and example",
  },
  {
    id: "POL-019", level: "must", source: "upstream selftests",
    text: "An upload with an entry whose name and wildcard property equal those of another uploader's entry fails with EEXIST; the entries a.b and a.b.* are different.",
    verify: "com.example.a vs com.example.a.* by two holders",
  },
  {
    id: "POL-020", level: "must", source: "implementation",
    text: "A failed upload leaves the uploader's previous entries in force.",
    verify: "EEXIST on UPDATE; old grants still work",
  },
  {
    id: "POL-021", level: "must", source: "upstream selftests",
    text: "A successful upload removes all earlier entries of the same uploader.",
    verify: "holder moves from com.example.a to com.example.*; another holder can then take com.example.a",
  },
  {
    id: "POL-022", level: "must", source: "upstream selftests",
    text: "A NAME without POLICY_ACCESS is a valid entry that grants nothing.",
    verify: "UPDATE with name only; unprivileged NAME_ACQUIRE gives EPERM",
  },
  {
    id: "POL-023", level: "must", source: "kdbus.policy(7), corrected",
    text: "A wildcard entry a.b.* applies to names with exactly one more element than a.b.",
    verify: "grant OWN on com.example.* to world: com.example.x can be acquired, com.example.x.y and com.example cannot",
  },
  {
    id: "POL-024", level: "must", source: "implementation, corrected",
    text: "An exact entry hides a wildcard entry covering the same name, even if the exact entry grants less.",
    verify: "com.example.* OWN world and com.example.a without grants: acquiring com.example.a gives EPERM",
  },
  {
    id: "POL-025", level: "must", source: "upstream selftests",
    text: "Wildcard names are accepted in UPDATE of policy holders.",
    verify: "UPDATE with com.example.a.*",
  },
  {
    id: "POL-026", level: "must", source: "upstream selftests",
    text: "Policy changes take effect for the next operation of existing connections; no stale decision survives.",
    verify: "SEND ok, UPDATE removes TALK, SEND gives EPERM",
  },
  {
    id: "POL-027", level: "must", source: "upstream selftests",
    text: "Policy entries vanish when the policy holder disconnects.",
    verify: "close the holder; SEND gives EPERM",
  },
  {
    id: "POL-028", level: "must", source: "implementation",
    text: "An owner keeps its name when policy later denies OWN.",
    verify: "revoke, name still listed, messages still arrive",
  },
  {
    id: "POL-029", level: "must", source: "upstream selftests",
    text: "An activator's POLICY_ACCESS items form a bus policy entry for its name, valid for the life of the activator.",
    verify: "activator with TALK for world; unprivileged SEND to the name succeeds, after its end EPERM",
  },
  {
    id: "POL-030", level: "must", source: "upstream selftests",
    text: "Broadcasts reach only receivers that have TALK on the sender; without it they are dropped silently and SEND still succeeds.",
    verify: "owner broadcasts, unprivileged other user receives nothing",
  },
  {
    id: "POL-031", level: "must", source: "upstream selftests",
    text: "Privileged receivers get broadcasts of every sender if their match fits.",
    verify: "unprivileged broadcast, owner with empty match receives",
  },
  {
    id: "POL-032", level: "must", source: "upstream selftests",
    text: "Unprivileged connections of the same user get each other's broadcasts.",
    verify: "two connections of one uid",
  },
  {
    id: "POL-033", level: "must", source: "implementation",
    text: "A unicast signal to a receiver without TALK on the sender is dropped silently with SEND success.",
    verify: "dst_id set and SIGNAL flag",
  },
  {
    id: "POL-034", level: "must", source: "kdbus.message(7)", generations: ["2015-03"],
    text: "A reply to a message that expected one needs no TALK, once and until its deadline; a reply without open request gives EPERM.",
    verify: "unprivileged service answers the owner's request; second answer fails",
  },
  {
    id: "POL-035", level: "must", source: "kdbus.policy(7)",
    text: "On a custom endpoint TALK must be granted by the endpoint policy even for peers of the same user.",
    verify: "same uid, no grant: EPERM",
  },
  {
    id: "POL-036", level: "must", source: "kdbus.policy(7)",
    text: "On a custom endpoint TALK needs the endpoint grant and additionally same user or a bus grant.",
    verify: "endpoint grant only, other user: EPERM",
  },
  {
    id: "POL-037", level: "must", source: "implementation",
    text: "On a custom endpoint OWN needs a grant in the endpoint policy and one in the bus policy.",
    verify: "each alone gives EPERM, both succeed",
  },
  {
    id: "POL-038", level: "must", source: "implementation",
    text: "On the default endpoint every name is visible regardless of SEE grants.",
    verify: "holder entry without grants; unprivileged CONN_INFO by name succeeds",
  },
  {
    id: "POL-039", level: "must", source: "implementation",
    text: "SEND to an unknown name gives ESRCH and to an unknown id ENXIO before policy is looked at, also on custom endpoints.",
    verify: "unknown targets from a custom endpoint",
  },
  {
    id: "POL-040", level: "must", source: "upstream selftests",
    text: "Unprivileged connections in a child user namespace are judged by their kernel UID and GID, not by the numbers seen inside.",
    verify: "uid 65534 mapped to 0 in a new namespace still gets EPERM",
  },
  {
    id: "POL-041", level: "must", source: "implementation",
    text: "The policy check of SEND and NAME_ACQUIRE uses the credentials of the calling task, not those at HELLO.",
    verify: "connect, change effective uid, SEND",
  },
  {
    id: "POL-042", level: "must", source: "upstream selftests (2015-08)", generations: ["2015-08"],
    text: "A reply to a message that expected one needs no TALK, once and until its deadline; a reply without open request gives EBADSLT, also for privileged senders.",
    verify: "unprivileged service answers the owner's request; second answer gives EBADSLT; privileged sender with an invented cookie_reply too",
  },
  {
    id: "POL-043", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A privileged sender gets EPERM for a reply without open request.",
    verify: "bus owner sends cookie_reply 4242",
  },
  {
    id: "POL-044", level: "must", source: "upstream selftests (2015-08)", generations: ["2015-08"],
    text: "The sender of a broadcast is a receiver like any other: it gets its own broadcast if a match of its own fits and it has TALK on itself; on the default endpoint it has if it is privileged or its real and effective UID agree.",
    verify: "empty match, broadcast, RECV returns it; on a custom endpoint without policy RECV gives EAGAIN",
  },
  {
    id: "POL-045", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "TALK of a receiver for signals is judged by the credentials of the task that opened its endpoint file.",
    verify: "open as uid 1000, HELLO as uid 65534; broadcast of a uid 1000 sender arrives, that of a uid 65534 sender does not",
  },
  {
    id: "POL-046", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "TALK of a receiver for signals is judged by the credentials of the task that called its HELLO.",
    verify: "open as uid 1000, HELLO as uid 65534; broadcast of a uid 65534 sender arrives, that of a uid 1000 sender does not",
  },
  {
    id: "POL-047", level: "must", source: "implementation, corrected",
    text: "A wildcard upload by HELLO or UPDATE of a policy holder takes effect for TALK as well: its grants count for a peer that owns a covered name.",
    verify: "holder for com.example.* with TALK for world; unprivileged SEND to the owner of com.example.x succeeds",
  },
] as const satisfies readonly Requirement[];
