/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_PEER_H
#define BUSLAB_PEER_H

#include "agent.h"
#include "peer_wire.h"

/*
 * DOC: a peer as the supervisor sees it
 *
 * STARTING -> READY -> gone. A peer is gone when its process was reaped; what
 * it had said before is delivered first, then what it still owed is answered
 * with ESRCH, then EV_DEATH is sent. A peer whose socket closed while the
 * process lives on (it exec'd something else) stays until it is reaped.
 */
struct outgoing {
	struct outgoing *next;
	struct peer_msg msg;
	size_t done; /* of header and payload */
	int fd;
	uint8_t payload[];
};

struct owed {
	struct owed *next;
	uint32_t for_session;
	uint32_t request;
	uint16_t type;
	uint32_t to_peer; /* PASS_FD: who gets the descriptor */
	uint32_t arg;
	int64_t value;
};

struct peer {
	struct source source;
	struct peer *next;
	uint32_t id;
	uint32_t for_session;
	pid_t pid;
	bool ready;
	uint32_t inner_pid;
	struct buf in;
	int fds[64];
	unsigned int nfds;
	struct outgoing *out;
	struct owed *owed;
	struct buf options;
};

/* peer_io.c: the socket */
void peer_close(struct peer *peer);
bool peer_push(struct peer *peer);
void peer_say(struct peer *peer, const struct peer_msg *msg, const void *payload, int fd);
void peer_drain(struct peer *peer);

/* peer.c: called by peer_io.c with each message; @from_pid as seen from here */
void peer_heard(struct peer *peer, const struct peer_msg *msg, const uint8_t *payload, pid_t from_pid);

/* peer_state.c */
void state_request(const struct frame *frame, struct peer *peer);

#endif
