import type { Requirement } from "./requirement.ts";

/** Requirements on end-to-end scenarios. */
export const SCN = [
  {
    id: "SCN-001", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, call: a blocking call with arguments of 0 bytes to 512 KiB returns the server's answer unchanged; the result record equals that of the binder run.",
    verify: "differential run, normalised records equal",
  },
  {
    id: "SCN-002", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, service lookup: a client finds a server by well-known name without any user-space manager; a second server for the name is refused (EEXIST; binder: EBUSY for a second context manager).",
    verify: "differential run",
  },
  {
    id: "SCN-003", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, one-way: 1000 one-way messages return without waiting for the server and are handled in the order sent.",
    verify: "counter at the server",
  },
  {
    id: "SCN-004", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, size: a 2 MiB call (VEC) and a 64 MiB call (memfd) succeed on kdbus where a binder transaction larger than the receive buffer fails with BR_FAILED_REPLY.",
    verify: "hash of the data; binder half records BR_FAILED_REPLY",
  },
  {
    id: "SCN-005", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, death link: a client watching a server's id gets exactly one ID_REMOVE when it is killed, after the last message of the server (binder: one BR_DEAD_BINDER).",
    verify: "kill -9 after 100 messages",
  },
  {
    id: "SCN-006", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, dead target: a call to a dead server and a call during which the server dies return errors promptly (ENXIO, ESRCH, EPIPE; binder: BR_DEAD_REPLY); no caller hangs.",
    verify: "kill before, during, after; time limit 5 s",
  },
  {
    id: "SCN-007", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, identity: the server sees the caller's effective uid and process id as binder reports them, also after the caller changed uid and from inside a user namespace.",
    verify: "setresuid in the client; client in a child user namespace",
  },
  {
    id: "SCN-008", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, descriptors: a pipe passed in a call and one passed in the answer work on the other side and are close-on-exec, as with binder.",
    verify: "pipe in each direction, F_GETFD",
  },
  {
    id: "SCN-009", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, thread pool: 8 server threads on one connection serve 8 blocking clients in parallel, every request exactly once.",
    verify: "8000 calls, each answered once with its own argument",
  },
  {
    id: "SCN-010", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, nested call: a server calls back into its waiting client, which serves the call on a second thread; both calls complete.",
    verify: "nested depth 1 and 3",
  },
  {
    id: "SCN-011", level: "must", source: "LWN 552241; Linux binder uapi",
    text: "Binder replacement, full buffer: with a server that does not read, senders get ENOBUFS or EXFULL at once (binder: BR_FAILED_REPLY) and calls work again after it reads.",
    verify: "stop the server, send until refused, let it run, send again",
  },
  {
    id: "SCN-012", level: "must", source: "LWN 552241",
    text: "QNX style: blocked clients with different priorities are served most urgent first, equal priorities in order of arrival, and each gets its own reply.",
    verify: "server sleeps while clients send; order of service recorded",
  },
  {
    id: "SCN-013", level: "must", source: "LWN 552241",
    text: "QNX style: a client blocked in a call is released by timeout (ETIMEDOUT), by cancellation descriptor (ECANCELED), by a signal (EINTR) and by death of the server (EPIPE).",
    verify: "four runs",
  },
  {
    id: "SCN-014", level: "must", source: "LWN 552241",
    text: "Application separation: through a custom endpoint allowing TALK to one name, calls to that name work, calls to any other peer by name or id fail with EPERM, and LIST, CONN_INFO and notifications reveal no other well-known name.",
    verify: "attempts on everything else recorded with errno; on 2015-08 connection ids alone may be seen in ID notifications",
  },
  {
    id: "SCN-015", level: "must", source: "kdbus.endpoint(7)",
    text: "Application separation: a change of the endpoint's policy applies to connections already open on it, and closing the endpoint owner disconnects them while connections on other endpoints go on.",
    verify: "ENDPOINT_UPDATE in between; close the owner",
  },
  {
    id: "SCN-016", level: "must", source: "LWN 552241",
    text: "D-Bus carriage: names, queued ownership, activation, calls, errors, signals with bloom filters and name-change notifications work together on a world-accessible bus made during boot of a systemd guest.",
    verify: "suite run from a unit after multi-user.target",
  },
  {
    id: "SCN-017", level: "must", source: "kdbus.connection(7)",
    text: "Activation: messages sent to an activated name before the service was started are all answered by the service, in order, over 10 restarts of the service.",
    verify: "numbered requests while the service restarts",
  },
  {
    id: "SCN-018", level: "must", source: "LWN 552241",
    text: "Streaming: 1 GiB in 2 MiB messages with retry on ENOBUFS arrives complete and in order.",
    verify: "checksum",
  },
  {
    id: "SCN-019", level: "must", source: "LWN 552241",
    text: "Never blocking: while a receiver is stopped, every asynchronous SEND to it returns within 1 s with 0, ENOBUFS or EXFULL, and unrelated peers are not slowed down.",
    verify: "SIGSTOP the receiver; after SIGCONT all accepted messages are there in order",
  },
  {
    id: "SCN-020", level: "must", source: "implementation, corrected",
    text: "Never blocking: while one sender is stuck on a page fault of its own source memory, the receiver's RECV, other senders to it, name changes and HELLO on the bus complete within 1 s, and the stuck sender can be killed.",
    verify: "userfaultfd without handler (both original generations block the bus)",
  },
  {
    id: "SCN-021", level: "must", source: "implementation",
    text: "Crash recovery: after a receiver with queued messages, descriptors and unanswered requests is killed, requesters are told, queued files are released, quotas are free and its id and names are gone.",
    verify: "kill -9, then check each point",
  },
  {
    id: "SCN-022", level: "must", source: "kdbus(7)",
    text: "Crash recovery: messages and descriptors of a sender that was killed after SEND returned are received completely with its metadata.",
    verify: "send, kill sender, receive",
  },
  {
    id: "SCN-023", level: "must", source: "kdbus.bus(7)",
    text: "Crash recovery: when the bus owner is killed, all connections of the bus report POLLHUP and ECONNRESET, waiting synchronous calls return, and the bus directory is gone.",
    verify: "kill -9 of the owner with active traffic",
  },
  {
    id: "SCN-024", level: "must", source: "implementation",
    text: "10000 cycles of connecting, exchanging messages and descriptors, and being killed leave kernel memory, descriptor count and connection limits where they were.",
    verify: "compare /proc/slabinfo, /proc/sys/fs/file-nr, MemAvailable after drop_caches",
  },
  {
    id: "SCN-025", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "Application separation: an application on a custom endpoint gets no ID_ADD and ID_REMOVE notifications.",
    verify: "match all, connect and disconnect on the default endpoint",
  },
  {
    id: "SCN-026", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "Application separation: an application on a custom endpoint that matches ID_ADD and ID_REMOVE sees connection ids come and go, but CONN_INFO on such an id fails with ENXIO and SEND to it with EPERM.",
    verify: "match all, connect on the default endpoint, try both",
  },
  {
    id: "SCN-027", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "D-Bus carriage: a client that installs one match with DST_ID of its own id and one with the broadcast id receives unicast and broadcast signals each once, as the systemd client library expects.",
    verify: "both matches with one bloom mask, one signal of each kind",
  },
] as const satisfies readonly Requirement[];
