import type { Requirement } from "./requirement.ts";

/** Requirements on custom endpoints. */
export const EP = [
  {
    id: "EP-001", level: "must", source: "kdbus.endpoint(7)",
    text: "ENDPOINT_MAKE on the default endpoint by a privileged handle creates a file with the given name in the bus directory and makes the handle the endpoint owner.",
    verify: "stat the file, then HELLO on it",
  },
  {
    id: "EP-002", level: "must", source: "upstream selftests",
    text: "ENDPOINT_MAKE on a handle that is not privileged fails with EPERM.",
    verify: "as another unprivileged user on a world-accessible bus",
  },
  {
    id: "EP-003", level: "must", source: "implementation",
    text: "The EPERM of ENDPOINT_MAKE comes before parsing, so even a bad pointer gives EPERM.",
    verify: "unprivileged ENDPOINT_MAKE with NULL",
  },
  {
    id: "EP-004", level: "must", source: "implementation",
    text: "ENDPOINT_MAKE on a handle of a custom endpoint fails with EPERM even for the bus owner.",
    verify: "open the custom endpoint as bus owner, ENDPOINT_MAKE",
  },
  {
    id: "EP-005", level: "must", source: "upstream selftests",
    text: "An endpoint name not beginning with the caller's effective UID plus a dash is refused with EINVAL.",
    verify: "<uid+1>-foobar and foobar give EINVAL",
  },
  {
    id: "EP-006", level: "must", source: "upstream selftests",
    text: "An endpoint name longer than 63 characters gives ENAMETOOLONG.",
    verify: "64 characters",
  },
  {
    id: "EP-007", level: "must", source: "kdbus.endpoint(7)",
    text: "An endpoint name that exists in the bus gives EEXIST; the same name in another bus is fine.",
    verify: "create twice; create in a second bus",
  },
  {
    id: "EP-008", level: "must", source: "implementation",
    text: "ENDPOINT_MAKE refuses NAME and POLICY_ACCESS items with EINVAL.",
    verify: "pass them along with MAKE_NAME",
  },
  {
    id: "EP-009", level: "must", source: "kdbus.endpoint(7)",
    text: "Endpoint file modes are 0600, 0660 or 0666 by the flags of ENDPOINT_MAKE, independent of the bus flags.",
    verify: "stat for each flag value",
  },
  {
    id: "EP-010", level: "must", source: "upstream selftests",
    text: "An endpoint with mode 0600 cannot be opened by other users (EACCES); one with ACCESS_WORLD can, if the bus directory lets them through.",
    verify: "unprivileged open of both",
  },
  {
    id: "EP-011", level: "must", source: "kdbus.endpoint(7)",
    text: "Closing the endpoint owner handle removes the file and disconnects all connections made through it, leaving other connections of the bus alone.",
    verify: "close; the connection gives ECONNRESET, one on the default endpoint still works",
  },
  {
    id: "EP-012", level: "must", source: "kdbus.endpoint(7)",
    text: "A custom endpoint starts with an empty policy database: a connection through it sees no names, may talk to nobody and own nothing.",
    verify: "SEND to a peer of the same user gives EPERM; NAME_ACQUIRE gives EPERM; CONN_INFO by name gives ESRCH",
  },
  {
    id: "EP-013", level: "must", source: "kdbus.endpoint(7)",
    text: "ENDPOINT_UPDATE replaces the whole policy of the endpoint; later operations of existing connections follow the new policy.",
    verify: "grant SEE to world, CONN_INFO by name starts to succeed",
  },
  {
    id: "EP-014", level: "must", source: "kdbus.endpoint(7)",
    text: "ENDPOINT_UPDATE that fails leaves the previous policy in force.",
    verify: "valid upload, then an upload with a bad second entry (EINVAL); old rights still there",
  },
  {
    id: "EP-015", level: "must", source: "implementation",
    text: "ENDPOINT_UPDATE without items removes all entries.",
    verify: "grant, then empty update, CONN_INFO by name gives ESRCH again",
  },
  {
    id: "EP-016", level: "must", source: "kdbus.policy(7)",
    text: "ENDPOINT_UPDATE accepts several NAME groups in one call.",
    verify: "two names with SEE, both visible",
  },
  {
    id: "EP-017", level: "must", source: "implementation",
    text: "ENDPOINT_UPDATE with the same name twice fails with EEXIST.",
    verify: "two identical NAME items",
  },
  {
    id: "EP-018", level: "must", source: "kdbus.endpoint(7)",
    text: "ENDPOINT_UPDATE with POLICY_ACCESS before any NAME fails with EINVAL.",
    verify: "single POLICY_ACCESS item",
  },
  {
    id: "EP-019", level: "must", source: "implementation",
    text: "ENDPOINT_UPDATE accepts wildcard names.",
    verify: "upload a.b.* with SEE; result 0",
  },
  {
    id: "EP-020", level: "must", source: "upstream selftests",
    text: "HELLO with KDBUS_HELLO_MONITOR on a custom endpoint fails with EOPNOTSUPP.",
    verify: "HELLO on the custom endpoint",
  },
  {
    id: "EP-021", level: "must", source: "implementation",
    text: "HELLO as activator or policy holder, or with CREDS, PIDS or SECLABEL items, on a custom endpoint fails with EPERM for everyone.",
    verify: "as root and bus owner",
  },
  {
    id: "EP-022", level: "must", source: "kdbus.policy(7)",
    text: "A connection through a custom endpoint is never privileged, even for root or the bus owner.",
    verify: "bus owner on a custom endpoint: NAME_ACQUIRE of a name without policy gives EPERM",
  },
  {
    id: "EP-023", level: "must", source: "upstream selftests",
    text: "NAME_ADD, NAME_REMOVE and NAME_CHANGE reach a connection of a custom endpoint only if the endpoint policy grants it SEE on the name.",
    verify: "install a match, acquire the name elsewhere with and without SEE",
  },
  {
    id: "EP-024", level: "must", source: "upstream selftests (2015-03)", generations: ["2015-03"],
    text: "ID_ADD and ID_REMOVE notifications are not delivered to connections of custom endpoints.",
    verify: "matches on a custom endpoint; connect and disconnect others; RECV gives EAGAIN",
  },
  {
    id: "EP-025", level: "must", source: "upstream selftests",
    text: "CONN_INFO from a custom endpoint gives ESRCH for an invisible name and ENXIO for the id of a peer none of whose names is visible; with SEE on one of its names both succeed.",
    verify: "before and after ENDPOINT_UPDATE",
  },
  {
    id: "EP-026", level: "must", source: "implementation",
    text: "Connections through one custom endpoint share a connection limit of 1024 that is separate from the per-user limit.",
    verify: "use up the per-user limit on the default endpoint, HELLO on a custom one succeeds",
  },
  {
    id: "EP-027", level: "must", source: "upstream selftests (2015-08)", generations: ["2015-08"],
    text: "ID_ADD and ID_REMOVE notifications are delivered to matching connections of custom endpoints like to all others, whatever the endpoint policy grants.",
    verify: "matches on a custom endpoint without policy; connect and disconnect others; both notifications arrive",
  },
  {
    id: "EP-028", level: "must", source: "implementation, corrected",
    text: "A wildcard entry in an endpoint policy takes effect: it covers names with exactly one more element.",
    verify: "upload a.b.* with SEE; a.b.c becomes visible, a.b.c.d does not",
  },
  {
    id: "EP-029", level: "must", source: "implementation",
    text: "Endpoint privilege is judged by the credentials the handle was opened with: ENDPOINT_MAKE works for a handle opened by the bus owner after the process changed its UID, and the UID prefix of the name is then the new effective UID.",
    verify: "open as owner, setresuid, ENDPOINT_MAKE with the new uid as prefix",
  },
] as const satisfies readonly Requirement[];
