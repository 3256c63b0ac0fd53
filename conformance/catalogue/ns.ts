import type { Requirement } from "./requirement.ts";

/** Requirements on namespaces. */
export const NS = [
  {
    id: "NS-001", level: "must", source: "kdbus.fs(7)",
    text: "Two mounts of kdbusfs are separate domains: a bus made in one is not visible in the other, and the same bus name can exist in both.",
    verify: "same bus name in two mounts",
  },
  {
    id: "NS-002", level: "must", source: "implementation",
    text: "A bind mount of a kdbusfs mount shows the same buses, and connections made through either path talk to each other.",
    verify: "mount --bind, one connection per path",
  },
  {
    id: "NS-003", level: "must", source: "implementation",
    text: "Root of an unprivileged user and mount namespace can mount kdbusfs there and use it.",
    verify: "unshare -Urm",
  },
  {
    id: "NS-004", level: "must", source: "upstream selftests",
    text: "uids and gids in CREDS are translated into the receiver's user namespace.",
    verify: "child user namespace with mapping 0 to 65534, both directions",
  },
  {
    id: "NS-005", level: "must", source: "upstream selftests",
    text: "uids and gids without mapping in the receiver's user namespace appear as the overflow ids.",
    verify: "root of the parent sends to a child namespace: all eight values equal the overflow id",
  },
  {
    id: "NS-006", level: "must", source: "implementation",
    text: "AUXGROUPS entries are translated like gids, unmapped ones to the overflow gid.",
    verify: "setgroups in the parent, receive in the child",
  },
  {
    id: "NS-007", level: "must", source: "upstream selftests",
    text: "pid, tid and ppid are translated into the receiver's pid namespace and are 0 where not visible.",
    verify: "sender in the parent namespace: all 0; sender in a child namespace: real numbers",
  },
  {
    id: "NS-008", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "KDBUS_ITEM_CAPS is not attached if sender and receiver are in different user namespaces.",
    verify: "both directions between parent and child namespace",
  },
  {
    id: "NS-009", level: "must", source: "implementation",
    text: "AUDIT loginuid is translated into the receiver's user namespace, 0xffffffff if unmapped; sessionid is unchanged.",
    verify: "as for CREDS, with loginuid set",
  },
  {
    id: "NS-010", level: "must", source: "implementation",
    text: "KDBUS_ITEM_EXE is not attached if the receiver's root is in another mount namespace.",
    verify: "receiver in a new mount namespace",
  },
  {
    id: "NS-011", level: "must", source: "upstream selftests",
    text: "A task that is uid 0 only inside a child user namespace is not privileged on a bus of the parent's domain: monitors and activators fail with EPERM and policy applies.",
    verify: "HELLO with MONITOR inside the namespace",
  },
  {
    id: "NS-012", level: "must", source: "upstream selftests",
    text: "A task in a child user namespace is treated by policy as its uid in the domain's view: entries for that uid grant access, others do not.",
    verify: "policy holder grants and refuses uid 65534",
  },
  {
    id: "NS-013", level: "must", source: "implementation",
    text: "Numbers in KDBUS_ITEM_POLICY_ACCESS without mapping in the uploader's user namespace fail with EINVAL.",
    verify: "uid outside of the map",
  },
  {
    id: "NS-014", level: "must", source: "implementation",
    text: "Bus and endpoint name prefixes are compared with the creator's effective uid as seen in the domain's user namespace; a creator without mapping there gets EINVAL.",
    verify: "domain mounted in a child user namespace: uid inside that namespace is the valid prefix",
  },
  {
    id: "NS-015", level: "must", source: "implementation",
    text: "Limits per user count the kernel-internal uid, so tasks of one uid in different user namespaces share them within a domain.",
    verify: "connection limit from two namespaces mapping the same uid",
  },
  {
    id: "NS-016", level: "must", source: "upstream selftests", generations: ["2015-08"],
    text: "KDBUS_ITEM_CAPS is attached across user namespaces as well.",
    verify: "both directions between parent and child namespace",
  },
  {
    id: "NS-017", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "CAPS for a receiver whose user namespace is the sender's or a descendant of it holds the sender's four sets unchanged, unless the sender's effective uid created the namespace next below its own on that path: then inheritable is 0 and permitted, effective and bounding have all valid bits.",
    verify: "parent root to a child namespace made by uid 65534 (copied); uid 65534 to its own child namespace (full)",
  },
  {
    id: "NS-018", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "CAPS for a receiver whose user namespace is neither the sender's nor a descendant of it holds four all-zero sets and the usual last_cap.",
    verify: "root of a child namespace sends to the parent",
  },
  {
    id: "NS-019", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Metadata is translated into the user namespace of whoever opened the receiving descriptor and the pid namespace of the task that called HELLO, whichever task calls RECV.",
    verify: "connect in the parent, pass the descriptor to a child in new user and pid namespaces, RECV there: parent's view",
  },
  {
    id: "NS-020", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Metadata is translated into the user and pid namespaces of the task calling RECV (SEND for a synchronous reply).",
    verify: "connect in the parent, pass the descriptor to a child in new user and pid namespaces, RECV there: child's view",
  },
  {
    id: "NS-021", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "EXE is attached if the sender's root directory equals the root directory the receiver had at HELLO; in CONN_INFO and BUS_CREATOR_INFO if the asker's root directory is the one it had at HELLO.",
    verify: "receiver calls chroot after HELLO: EXE of senders outside stays",
  },
] as const satisfies readonly Requirement[];
