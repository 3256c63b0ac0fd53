import type { Requirement } from "./requirement.ts";

/** Requirements on messages. */
export const MSG = [
  {
    id: "MSG-001", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_SEND of a plain unicast message (no SIGNAL, no EXPECT_REPLY, cookie_reply 0) to the id of a connected ordinary connection of the same user returns 0 and the next KDBUS_CMD_RECV on that connection returns this message.",
    verify: "send with unique cookie, RECV, compare cookie and src_id",
  },
  {
    id: "MSG-002", level: "must", source: "kdbus.message(7)",
    text: "When an asynchronous KDBUS_CMD_SEND returns 0, the message is already in the destination's queue: poll() on the destination reports POLLIN without delay.",
    verify: "poll with timeout 0 right after SEND returns",
  },
  {
    id: "MSG-003", level: "must", source: "implementation",
    text: "A successful KDBUS_CMD_SEND without KDBUS_SEND_SYNC_REPLY sets reply.offset to the pool size of the sender, reply.msg_size to 0 and reply.return_flags to 0.",
    verify: "inspect cmd_send after the call",
  },
  {
    id: "MSG-004", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_SEND on an activator, monitor or policy-holder connection fails with EOPNOTSUPP even if the argument pointer is invalid.",
    verify: "SEND with a NULL argument on each special connection",
  },
  {
    id: "MSG-005", level: "must", source: "implementation",
    text: "KDBUS_CMD_SEND and KDBUS_CMD_RECV on a connection that has said BYEBYE fail with ECONNRESET.",
    verify: "BYEBYE, then both ioctls",
  },
  {
    id: "MSG-006", level: "must", source: "kdbus.message(7)",
    text: "A message addressed by dst_id 0 without KDBUS_ITEM_DST_NAME fails with EDESTADDRREQ.",
    verify: "send without the item, expect the errno",
  },
  {
    id: "MSG-007", level: "must", source: "kdbus.message(7)",
    text: "A message with dst_id 0 and a KDBUS_ITEM_DST_NAME goes to the connection that owns the name at that moment.",
    verify: "owner receives; after handing the name to a second connection only that one receives",
  },
  {
    id: "MSG-008", level: "must", source: "kdbus.message(7)",
    text: "A message to a well-known name nobody holds fails with ESRCH.",
    verify: "random unused name",
  },
  {
    id: "MSG-009", level: "must", source: "kdbus.message(7)",
    text: "A message to a connection id that never existed or has disconnected fails with ENXIO.",
    verify: "a huge id, and the id of a connection closed before",
  },
  {
    id: "MSG-010", level: "must", source: "upstream selftests",
    text: "A message addressed by id to an activator, a monitor or a policy holder fails with ENXIO.",
    verify: "create each kind, send to its id",
  },
  {
    id: "MSG-011", level: "must", source: "kdbus.message(7)",
    text: "A message carrying both dst_id and KDBUS_ITEM_DST_NAME is delivered if that id owns the name, and fails with EREMCHG if another connection owns it.",
    verify: "send to owner's id plus name, then to another connection's id plus the same name",
  },
  {
    id: "MSG-012", level: "must", source: "kdbus.message(7)",
    text: "A message whose name is held by an activator fails with EADDRNOTAVAIL and is not queued if KDBUS_MSG_NO_AUTO_START is set; the flag has no effect if an ordinary connection owns the name.",
    verify: "send with and without the flag, check the activator queue",
  },
  {
    id: "MSG-013", level: "must", source: "kdbus.policy(7)",
    text: "A non-signal, non-reply message to a connection the sender has no TALK right for fails with EPERM and is not delivered.",
    verify: "unprivileged sender of another uid, no policy",
  },
  {
    id: "MSG-014", level: "must", source: "implementation",
    text: "A connection can send a message to its own id and receives it.",
    verify: "send to own id, RECV on the same descriptor",
  },
  {
    id: "MSG-015", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A message whose size field is below 64 or above 8192 makes KDBUS_CMD_SEND fail with EINVAL; 8192 exactly is accepted.",
    verify: "8192 is reachable on a bus with bloom size 4096: unicast signal with the 4120-byte filter item, a DST_NAME item padded to 40 and 124 VEC items",
  },
  {
    id: "MSG-016", level: "must", source: "implementation",
    text: "An unaligned msg_address, or one that cannot be read, makes KDBUS_CMD_SEND fail with EFAULT.",
    verify: "address plus 1; address of an unmapped page",
  },
  {
    id: "MSG-017", level: "must", source: "implementation",
    text: "Any bit in the message flags besides EXPECT_REPLY, NO_AUTO_START and SIGNAL makes KDBUS_CMD_SEND fail with EINVAL.",
    verify: "try bits 3 to 62 one at a time",
  },
  {
    id: "MSG-018", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_SEND with payload_type 0 (KDBUS_PAYLOAD_KERNEL) fails with EINVAL.",
    verify: "send with payload_type 0",
  },
  {
    id: "MSG-019", level: "must", source: "uapi header",
    text: "Every non-zero payload_type is accepted and delivered unchanged.",
    verify: "KDBUS_PAYLOAD_DBUS and random values",
  },
  {
    id: "MSG-020", level: "must", source: "kdbus.message(7)",
    text: "src_id in a sent message must be 0 or the sender's own id (else EINVAL); the delivered header always has the sender's id.",
    verify: "src_id 0, own id, own id plus 1; check the header at the receiver",
  },
  {
    id: "MSG-021", level: "must", source: "implementation",
    text: "The delivered header carries flags, priority, dst_id, payload_type, cookie and the timeout_ns/cookie_reply field exactly as sent; dst_id is 0 if the sender addressed by name only and all ones for a broadcast.",
    verify: "compare all header fields",
  },
  {
    id: "MSG-022", level: "must", source: "kdbus.message(7)",
    text: "A message addressed by name arrives with a KDBUS_ITEM_DST_NAME item holding that name.",
    verify: "walk the items of the received message",
  },
  {
    id: "MSG-023", level: "must", source: "upstream selftests",
    text: "A message without payload items is accepted and delivered with the header and metadata only.",
    verify: "header-only message, size 64",
  },
  {
    id: "MSG-024", level: "must", source: "kdbus.message(7)",
    text: "The bytes of all PAYLOAD_VEC and PAYLOAD_MEMFD items arrive as one logical stream in the order sent, VEC data described by PAYLOAD_OFF items whose offset counts from the start of the delivered message.",
    verify: "mixed VEC and memfd items of odd sizes, concatenate at the receiver, compare hash",
  },
  {
    id: "MSG-025", level: "must", source: "kdbus.message(7)",
    text: "No delivered message contains a PAYLOAD_VEC or CANCEL_FD item.",
    verify: "item walk over all messages of the suite",
  },
  {
    id: "MSG-026", level: "should", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "No delivered message contains a BLOOM_FILTER item.",
    verify: "receive a signal, walk the items",
  },
  {
    id: "MSG-027", level: "must", source: "implementation (2015-08), corrected",
    text: "A PAYLOAD_VEC with address 0 arrives as PAYLOAD_OFF with offset all ones and the same size, standing for that many zero bytes; the marker is all ones at every receiver, also of a broadcast and with metadata attached.",
    verify: "sizes 1 to 4096 with address 0 between ordinary VECs, receivers with different receive masks; 2015-08 shifted the marker by the payload offset",
  },
  {
    id: "MSG-028", level: "must", source: "implementation",
    text: "For each stored PAYLOAD_OFF chunk, offset modulo 8 equals the number of preceding stream bytes (including address-0 and memfd chunks) modulo 8.",
    verify: "sequences of VEC sizes 1..17, address-0 VECs and memfds of odd size",
  },
  {
    id: "MSG-029", level: "must", source: "implementation",
    text: "Every item of a delivered message starts at a multiple of 8 from the message start, the message start is a multiple of 8 in the pool, and all payload offsets plus sizes lie within msg.msg_size.",
    verify: "checked for every message received by the suite",
  },
  {
    id: "MSG-030", level: "must", source: "kdbus.message(7)",
    text: "A PAYLOAD_VEC or PAYLOAD_MEMFD with size 0 makes KDBUS_CMD_SEND fail with EINVAL.",
    verify: "size 0 in either item",
  },
  {
    id: "MSG-031", level: "must", source: "kdbus.message(7)",
    text: "A PAYLOAD_VEC whose memory cannot be read completely makes a unicast KDBUS_CMD_SEND fail with EFAULT and nothing is queued; kernel addresses are refused the same way.",
    verify: "last page unmapped; address above the user range",
  },
  {
    id: "MSG-032", level: "must", source: "kdbus.message(7)",
    text: "An item type that is not PAYLOAD_VEC, PAYLOAD_MEMFD, FDS, BLOOM_FILTER or DST_NAME inside a message makes KDBUS_CMD_SEND fail with EINVAL.",
    verify: "every other known type and some unknown ones, including PAYLOAD_OFF and CREDS",
  },
  {
    id: "MSG-033", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A second KDBUS_ITEM_FDS, KDBUS_ITEM_BLOOM_FILTER or KDBUS_ITEM_DST_NAME in one message fails with EEXIST.",
    verify: "each item doubled",
  },
  {
    id: "MSG-034", level: "must", source: "implementation",
    text: "A DST_NAME that is not a valid well-known name, or ends in a wildcard, makes KDBUS_CMD_SEND fail with EINVAL.",
    verify: "names without dot, with leading dot, with .* suffix, of 256 characters",
  },
  {
    id: "MSG-035", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_MSG_EXPECT_REPLY with timeout_ns 0 fails with EINVAL.",
    verify: "flag set, cookie set, timeout 0",
  },
  {
    id: "MSG-036", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "KDBUS_MSG_EXPECT_REPLY with cookie 0 fails with EINVAL.",
    verify: "flag and timeout set, cookie 0",
  },
  {
    id: "MSG-037", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_MSG_EXPECT_REPLY together with KDBUS_MSG_SIGNAL on a broadcast, with timeout_ns and cookie not 0, fails with ENOTUNIQ.",
    verify: "both flags, bloom filter, timeout, cookie, dst_id all ones",
  },
  {
    id: "MSG-038", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "KDBUS_MSG_EXPECT_REPLY together with KDBUS_MSG_SIGNAL to a single destination fails with EINVAL.",
    verify: "both flags, bloom filter, timeout, cookie",
  },
  {
    id: "MSG-039", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_SEND_SYNC_REPLY without KDBUS_MSG_EXPECT_REPLY fails with EINVAL.",
    verify: "command flag on a one-way message",
  },
  {
    id: "MSG-040", level: "must", source: "kdbus.message(7)",
    text: "A broadcast without KDBUS_MSG_SIGNAL, or with KDBUS_ITEM_DST_NAME, fails with EBADMSG.",
    verify: "two cases",
  },
  {
    id: "MSG-041", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_MSG_SIGNAL without BLOOM_FILTER item, and a BLOOM_FILTER item without KDBUS_MSG_SIGNAL, fail with EBADMSG.",
    verify: "two cases, unicast and broadcast",
  },
  {
    id: "MSG-042", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A signal without EXPECT_REPLY and with a non-zero timeout_ns/cookie_reply field fails with EINVAL, broadcast and unicast alike.",
    verify: "value 1 in the field",
  },
  {
    id: "MSG-043", level: "must", source: "upstream selftests",
    text: "A valid broadcast returns 0 even if no connection receives it.",
    verify: "bus with a single connection",
  },
  {
    id: "MSG-044", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "A connection never receives its own broadcast, even if its matches fit.",
    verify: "match all, broadcast, RECV gives EAGAIN",
  },
  {
    id: "MSG-045", level: "must", source: "kdbus.message(7)",
    text: "A unicast signal (KDBUS_MSG_SIGNAL with dst_id or name of one connection) is delivered if a match of the destination fits and the destination may TALK to the sender; otherwise SEND returns 0 and nothing is delivered.",
    verify: "with and without match; unprivileged receiver with and without policy",
  },
  {
    id: "MSG-046", level: "should", source: "implementation, corrected",
    text: "A unicast signal that fits but cannot be queued (pool, quota, descriptors not accepted) returns 0 to the sender and raises dropped_msgs at the destination.",
    verify: "fill the queue, send a unicast signal, RECV reports it; neither original generation counts it",
  },
  {
    id: "MSG-047", level: "must", source: "kdbus.message(7)",
    text: "A reply (cookie_reply equal to the cookie of an open request from its destination) is delivered even if the replier has no TALK right to the requester.",
    verify: "privileged requester, unprivileged replier of another uid",
  },
  {
    id: "MSG-048", level: "must", source: "upstream selftests", generations: ["2015-03"],
    text: "A message with cookie_reply for which the destination has no open request to this sender fails with EPERM and is not delivered.",
    verify: "wrong cookie; right cookie from a third connection",
  },
  {
    id: "MSG-049", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A reply slot works once: a second reply to the same request fails with EPERM.",
    verify: "reply twice",
  },
  {
    id: "MSG-050", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A reply after the request's deadline fails with EPERM and is not delivered.",
    verify: "wait for REPLY_TIMEOUT, then reply",
  },
  {
    id: "MSG-051", level: "must", source: "kdbus.message(7)",
    text: "When an asynchronous request is not answered until timeout_ns (absolute CLOCK_MONOTONIC), the requester receives one KDBUS_ITEM_REPLY_TIMEOUT notification with cookie_reply equal to the request's cookie, never before the deadline.",
    verify: "measure arrival time; allow 1 s late",
  },
  {
    id: "MSG-052", level: "must", source: "implementation",
    text: "An asynchronous request whose deadline already passed is still delivered, and its REPLY_TIMEOUT follows at once.",
    verify: "timeout_ns 1",
  },
  {
    id: "MSG-053", level: "must", source: "kdbus.message(7)",
    text: "When the destination of an unanswered asynchronous request disconnects, the requester receives a KDBUS_ITEM_REPLY_DEAD notification with the request's cookie in cookie_reply.",
    verify: "request read and unread before the close",
  },
  {
    id: "MSG-054", level: "must", source: "implementation, corrected",
    text: "For one asynchronous request the requester never receives more than one of reply, REPLY_TIMEOUT, REPLY_DEAD, also if the destination ends with the request still unread; a synchronous caller receives none of the two notifications.",
    verify: "close the destination with an asynchronous and a synchronous request unread, drain the requesters, count REPLY_DEAD (both original generations sent one too many)",
  },
  {
    id: "MSG-055", level: "must", source: "implementation",
    text: "When the requester disconnects, a later reply to it fails with ENXIO.",
    verify: "request, close the requester, reply",
  },
  {
    id: "MSG-056", level: "should", source: "implementation, corrected",
    text: "A failed reply (ECOMM, ENOBUFS, EXFULL, EFAULT) to an asynchronous request leaves the request open, so that the replier can try again and the timeout still fires.",
    verify: "reply with descriptors to a requester without ACCEPT_FD, then reply without",
  },
  {
    id: "MSG-057", level: "must", source: "kdbus.message(7)",
    text: "A synchronous call blocks until the reply arrives, returns 0, and reply.offset/reply.msg_size locate the reply in the caller's pool; the reply does not show up in RECV.",
    verify: "second thread replies after 100 ms; read the reply at the offset; RECV gives EAGAIN",
  },
  {
    id: "MSG-058", level: "must", source: "implementation",
    text: "Other threads can send and receive on the same connection while one thread waits in a synchronous call.",
    verify: "waiting thread plus a thread doing 1000 exchanges",
  },
  {
    id: "MSG-059", level: "must", source: "kdbus.message(7)",
    text: "A synchronous call fails with ETIMEDOUT when the deadline passes, without a notification; a call whose deadline has passed already at the start fails with ETIMEDOUT and delivers nothing.",
    verify: "deadline 100 ms ahead; deadline in the past with a check that the peer's queue is empty",
  },
  {
    id: "MSG-060", level: "must", source: "kdbus.message(7)",
    text: "A synchronous call fails with EPIPE when the destination disconnects or drops the request with KDBUS_RECV_DROP before answering.",
    verify: "peer reads then closes; peer closes unread; peer drops",
  },
  {
    id: "MSG-061", level: "must", source: "upstream selftests",
    text: "A synchronous call fails with ECONNRESET when the calling connection itself is shut down by another thread.",
    verify: "BYEBYE from a second thread",
  },
  {
    id: "MSG-062", level: "must", source: "kdbus.message(7)",
    text: "A synchronous call fails with ECANCELED when the descriptor of its KDBUS_ITEM_CANCEL_FD becomes readable; a descriptor that stays silent has no effect.",
    verify: "eventfd, with and without write",
  },
  {
    id: "MSG-063", level: "must", source: "implementation (2015-03), corrected",
    text: "A CANCEL_FD item naming a closed descriptor makes KDBUS_CMD_SEND fail with EBADF; a descriptor that cannot be polled fails with EINVAL; a second CANCEL_FD item fails with EINVAL.",
    verify: "regular file on disk for the unpollable case",
  },
  {
    id: "MSG-064", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "After a cancelled or timed-out synchronous call the request remains in the destination's queue, and replying to it fails with EPERM.",
    verify: "peer receives and replies afterwards",
  },
  {
    id: "MSG-065", level: "must", source: "upstream selftests",
    text: "A synchronous call interrupted by a signal whose handler has SA_RESTART continues to wait with the original deadline, and the destination gets the request exactly once.",
    verify: "send SIGUSR1 to the waiting thread several times; count requests at the peer",
  },
  {
    id: "MSG-066", level: "must", source: "kdbus.message(7)",
    text: "A synchronous call interrupted by a signal handler without SA_RESTART fails with EINTR.",
    verify: "handler installed without SA_RESTART",
  },
  {
    id: "MSG-067", level: "should", source: "implementation",
    text: "Repeating an identical synchronous SEND (same cookie) after EINTR resumes waiting for the first request instead of sending a second one.",
    verify: "call again after EINTR, reply once, count requests at the peer",
  },
  {
    id: "MSG-068", level: "must", source: "implementation, corrected",
    text: "A reply that arrives while a synchronous call is interrupted by a signal is returned by the restarted call; the request is not sent again.",
    verify: "handler sleeps 300 ms while the peer replies; both original generations lose the reply",
  },
  {
    id: "MSG-069", level: "must", source: "upstream selftests",
    text: "If a synchronous reply carries descriptors and the caller has no ACCEPT_FD, the replier gets ECOMM and the caller's SEND fails with EREMOTEIO.",
    verify: "replier adds an FDS item",
  },
  {
    id: "MSG-070", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_RECV with an empty queue fails with EAGAIN at once, with msg.offset equal to the pool size and msg.msg_size 0, whether or not O_NONBLOCK is set.",
    verify: "fresh connection, with and without O_NONBLOCK",
  },
  {
    id: "MSG-071", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_RECV on a policy holder fails with EOPNOTSUPP.",
    verify: "RECV on a policy holder",
  },
  {
    id: "MSG-072", level: "must", source: "kdbus.message(7)",
    text: "Without KDBUS_RECV_USE_PRIORITY messages are returned in the order queued, whatever their priority.",
    verify: "falling and rising priorities, plain RECV",
  },
  {
    id: "MSG-073", level: "must", source: "upstream selftests",
    text: "With KDBUS_RECV_USE_PRIORITY the message with the lowest priority number is returned, oldest first among equals, if its priority is not above the given priority; otherwise EAGAIN.",
    verify: "priorities negative, zero, positive, equal",
  },
  {
    id: "MSG-074", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_RECV_PEEK returns the message without removing it; repeated PEEK and the following RECV return the same offset and content.",
    verify: "two PEEKs and one RECV, compare offset and bytes",
  },
  {
    id: "MSG-075", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_RECV_DROP removes the oldest message without returning it (msg.offset is the pool size) and releases its pool memory and descriptors.",
    verify: "DROP, next RECV gives the second message; repeat 10000 times without EXFULL",
  },
  {
    id: "MSG-076", level: "must", source: "implementation",
    text: "KDBUS_RECV_DROP together with KDBUS_RECV_USE_PRIORITY fails with EINVAL and changes nothing.",
    verify: "queue stays as it was",
  },
  {
    id: "MSG-077", level: "must", source: "implementation",
    text: "A message peeked and then dropped keeps its slice until KDBUS_CMD_FREE of the peeked offset.",
    verify: "PEEK, DROP, FREE gives 0, second FREE gives ENXIO",
  },
  {
    id: "MSG-078", level: "must", source: "kdbus.message(7)",
    text: "dropped_msgs reports the number of signals and notifications lost since the previous RECV that returned 0 or EAGAIN, KDBUS_RECV_RETURN_DROPPED_MSGS is set in return_flags exactly when it is not 0, and the counter starts again at 0.",
    verify: "overflow with broadcasts, RECV twice",
  },
  {
    id: "MSG-079", level: "must", source: "implementation",
    text: "A non-zero lost counter makes poll() report POLLIN even if the queue is empty; RECV then returns EAGAIN with dropped_msgs set.",
    verify: "fill the queue, broadcast once more, drain; poll; RECV",
  },
  {
    id: "MSG-080", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_CMD_RECV that fails with EINVAL keeps the lost counter.",
    verify: "lose a message, RECV with an unknown flag, then a plain RECV reports it",
  },
  {
    id: "MSG-081", level: "must", source: "kdbus.message(7)",
    text: "msg.msg_size is the size of the whole slice: a multiple of 8, at least the size field of the message, and covering all payload bytes.",
    verify: "checked for every message of the suite",
  },
  {
    id: "MSG-082", level: "must", source: "kdbus.message(7)",
    text: "poll() on a connected descriptor always reports POLLOUT and POLLWRNORM, and POLLIN and POLLRDNORM exactly while there is something to receive; after BYEBYE or before HELLO it reports POLLERR and POLLHUP.",
    verify: "poll with timeout 0 in each state",
  },
  {
    id: "MSG-083", level: "must", source: "implementation",
    text: "Several threads or processes receiving on the same open file get each message exactly once.",
    verify: "8 threads, 10000 messages, union of cookies without duplicates",
  },
  {
    id: "MSG-084", level: "must", source: "kdbus.message(7)",
    text: "KDBUS_FLAG_NEGOTIATE on SEND (with msg_address 0), RECV, FREE, MATCH_ADD and MATCH_REMOVE returns 0, writes the supported flags (0x1, 0x7, 0, 0x1, 0) into flags and does nothing else.",
    verify: "flags preset to bit 63; no message sent, queue unchanged",
  },
  {
    id: "MSG-085", level: "must", source: "implementation",
    text: "A failed KDBUS_CMD_SEND leaves no message, no pool use, no descriptor reference and no wake-up at the destination.",
    verify: "for each failing case compare queue, pool room and descriptor references before and after",
  },
  {
    id: "MSG-086", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A message whose size field is below 64 makes KDBUS_CMD_SEND fail with EINVAL, one above 32768 with EMSGSIZE; 32768 exactly is accepted.",
    verify: "32768 is reached by 1022 one-byte VEC items",
  },
  {
    id: "MSG-087", level: "should", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A delivered signal contains its BLOOM_FILTER item as sent: same generation, same bits.",
    verify: "receive a broadcast and a unicast signal, walk the items",
  },
  {
    id: "MSG-088", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A second KDBUS_ITEM_FDS, KDBUS_ITEM_BLOOM_FILTER or KDBUS_ITEM_DST_NAME in one message fails with EINVAL.",
    verify: "each item doubled",
  },
  {
    id: "MSG-089", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "KDBUS_MSG_EXPECT_REPLY with cookie 0 is accepted and the request is delivered.",
    verify: "flag and timeout set, cookie 0; REPLY_TIMEOUT with cookie_reply 0 follows",
  },
  {
    id: "MSG-090", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "KDBUS_MSG_EXPECT_REPLY together with KDBUS_MSG_SIGNAL to a single destination fails with ENOTUNIQ.",
    verify: "both flags, bloom filter, timeout, cookie",
  },
  {
    id: "MSG-091", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A broadcast signal with a non-zero timeout_ns/cookie_reply field fails with ENOTUNIQ; a unicast signal without EXPECT_REPLY and with a non-zero field fails with EINVAL.",
    verify: "value 1 in the field",
  },
  {
    id: "MSG-092", level: "must", source: "upstream selftests", generations: ["2015-08"],
    text: "A connection receives its own broadcast if one of its matches fits and it may TALK to itself (so on the default endpoint if real and effective uid agree); without fitting match it does not.",
    verify: "broadcast with and without a match, compare cookie",
  },
  {
    id: "MSG-093", level: "must", source: "upstream selftests", generations: ["2015-08"],
    text: "A message with cookie_reply for which the destination has no open request to this sender fails with EBADSLT and is not delivered.",
    verify: "wrong cookie; right cookie from a third connection; one-way message with only timeout_ns set",
  },
  {
    id: "MSG-094", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A reply slot works once: a second reply to the same request fails with EBADSLT.",
    verify: "reply twice",
  },
  {
    id: "MSG-095", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "A reply after the request's deadline fails with EBADSLT and is not delivered.",
    verify: "wait for REPLY_TIMEOUT, then reply",
  },
  {
    id: "MSG-096", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "After a cancelled or timed-out synchronous call the request remains in the destination's queue, and replying to it fails with EBADSLT.",
    verify: "peer receives and replies afterwards",
  },
  {
    id: "MSG-097", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "KDBUS_CMD_SEND with KDBUS_FLAG_NEGOTIATE in both command and message returns 0, writes 0x1 into the command flags and 0x7 into the message flags, and sends nothing.",
    verify: "flags preset to bit 63 in both",
  },
  {
    id: "MSG-098", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "KDBUS_CMD_SEND with KDBUS_FLAG_NEGOTIATE in the message only fails with EINVAL and sends nothing; the message flags may have been overwritten with 0x7.",
    verify: "bit 63 in the message flags only",
  },
  {
    id: "MSG-099", level: "must", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "KDBUS_CMD_SEND with KDBUS_FLAG_NEGOTIATE in the command returns 0 without reading the message; the flag in the message alone fails with EINVAL; the message flags are never written.",
    verify: "bit 63 in both, bit 63 in the message only; compare message flags",
  },
  {
    id: "MSG-100", level: "must", source: "implementation",
    text: "Two open requests with the same cookie to the same peer are both accepted, two replies to that cookie are delivered, and a third is refused like a reply without slot.",
    verify: "two requests with cookie 5, three replies",
  },
  {
    id: "MSG-101", level: "must", source: "implementation, corrected",
    text: "REPLY_TIMEOUT of an asynchronous request arrives at its own deadline even if a request with a later deadline was already pending on the same connection.",
    verify: "request with 2 s, then one with 200 ms: its notification arrives after 200 ms to 1.2 s, before the other (originals: with the later one)",
  },
  {
    id: "MSG-102", level: "must", source: "implementation",
    text: "A synchronous call to the caller's own id that nobody answers fails with ETIMEDOUT at the deadline, and the request is then found in the caller's own queue.",
    verify: "single thread, deadline 100 ms",
  },
  {
    id: "MSG-103", level: "should", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "The items of a delivered message that stem from the sender keep the order sent, PAYLOAD_VEC replaced by PAYLOAD_OFF in place, and are followed by the metadata items.",
    verify: "mix VEC, FDS, DST_NAME, memfd in several orders",
  },
  {
    id: "MSG-104", level: "should", source: "implementation (2015-03)", generations: ["2015-03"],
    text: "A delivered message has DST_NAME first, then the payload items in the order sent, then FDS, then the metadata items.",
    verify: "mix VEC, FDS, DST_NAME, memfd in several orders",
  },
  {
    id: "MSG-105", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "KDBUS_CMD_SEND with KDBUS_FLAG_NEGOTIATE in the command and a msg_address not 0 checks the message too: a malformed message gives the usual EFAULT, EINVAL or EMSGSIZE.",
    verify: "msg_address unmapped; message size 63",
  },
] as const satisfies readonly Requirement[];
