/** What the specification promises (Ordering, section 2), each with the requirements that say so. */
export const PROMISES = {
  1: ["messages of one thread to one receiver come in the order sent", "ORD-001, ORD-002"],
  2: ["SENDs that follow each other, of one process or of several, come in that order", "ORD-003, ORD-004"],
  3: ["what is sent because of a message comes behind what its sender had sent before", "ORD-018"],
  4: ["nothing is duplicated or made up, and no accepted message is lost", "ORD-005, ORD-006"],
  5: ["a message has one seqnum everywhere, no other has it, and it rises along a thread", "ORD-007, ORD-008, ORD-020"],
  6: ["monotonic_ns does not fall along a thread", "ORD-009"],
  7: ["notifications of a bus come in one order at all receivers", "ORD-010"],
  8: ["a change comes behind what its caller sent before it and ahead of what it sent afterwards", "ORD-011"],
  9: ["what a connection sent comes before its end; then its names, REPLY_DEAD, and ID_REMOVE last", "ORD-012, ORD-013"],
  10: ["a message to a name goes to who owns it at the time of SEND", "ORD-014"],
  11: ["messages that move with a name keep their order and come before what is sent to it afterwards", "ORD-015, ORD-016"],
  12: ["RECV returns the oldest message, with USE_PRIORITY the oldest of the lowest priority; PEEK changes nothing", "ORD-017"],
} as const;

export type Promised = keyof typeof PROMISES;
