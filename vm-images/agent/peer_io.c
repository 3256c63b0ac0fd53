// SPDX-License-Identifier: GPL-2.0
/* The supervisor's end of a peer's socket: messages and descriptors, never blocking. */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void peer_close(struct peer *peer)
{
	if (peer->source.fd < 0)
		return;
	source_remove(&peer->source);
	close(peer->source.fd);
	peer->source.fd = -1;
}

/* Sends what the socket takes; false when the peer does not listen any more. */
bool peer_push(struct peer *peer)
{
	while (peer->out && peer->source.fd >= 0) {
		struct outgoing *o = peer->out;
		size_t head = o->done < sizeof(o->msg) ? sizeof(o->msg) - o->done : 0;
		size_t body = o->done > sizeof(o->msg) ? o->done - sizeof(o->msg) : 0;
		struct iovec iov[2] = {
			{ (uint8_t *)&o->msg + sizeof(o->msg) - head, head },
			{ o->payload + body, o->msg.len - body },
		};
		char control[CMSG_SPACE(sizeof(int))] __attribute__((__aligned__(8))) = { 0 };
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n;

		if (o->fd >= 0) {
			struct cmsghdr *c;

			mh.msg_control = control;
			mh.msg_controllen = sizeof(control);
			c = CMSG_FIRSTHDR(&mh);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &o->fd, sizeof(int));
		}
		n = sendmsg(peer->source.fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		closep(&o->fd);
		o->fd = -1;
		o->done += (size_t)n;
		if (o->done == sizeof(o->msg) + o->msg.len) {
			peer->out = o->next;
			free(o);
		}
	}
	if (peer->source.fd >= 0)
		source_change(&peer->source, EPOLLIN | (peer->out ? EPOLLOUT : 0u));
	return true;
}

/* Owns @fd from here. */
void peer_say(struct peer *peer, const struct peer_msg *msg, const void *payload, int fd)
{
	struct outgoing *o = calloc(1, sizeof(*o) + msg->len), **at = &peer->out;

	if (!o)
		abort();
	o->msg = *msg;
	o->msg.has_fd = fd >= 0;
	o->fd = fd;
	if (msg->len)
		memcpy(o->payload, payload, msg->len);
	while (*at)
		at = &(*at)->next;
	*at = o;
	peer_push(peer);
}

/* Reads what is there. Each recvmsg ends where the sender's descriptors or credentials change. */
void peer_drain(struct peer *peer)
{
	for (;;) {
		char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))]
			__attribute__((__aligned__(8)));
		struct iovec iov;
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
				     .msg_control = control, .msg_controllen = sizeof(control) };
		pid_t from_pid = 0;
		ssize_t n;

		if (peer->source.fd < 0)
			return;
		buf_reserve(&peer->in, 65536);
		iov = (struct iovec){ peer->in.data + peer->in.len, 65536 };
		n = recvmsg(peer->source.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			peer_close(peer);
			return;
		}
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
			if (c->cmsg_type == SCM_CREDENTIALS) {
				struct ucred cred;

				memcpy(&cred, CMSG_DATA(c), sizeof(cred));
				from_pid = cred.pid;
			} else if (c->cmsg_type == SCM_RIGHTS) {
				size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

				for (size_t i = 0; i < count; i++) {
					int fd;

					memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
					if (peer->nfds < 64)
						peer->fds[peer->nfds++] = fd;
					else
						close(fd);
				}
			}
		}
		peer->in.len += (size_t)n;
		while (peer->in.len >= sizeof(struct peer_msg)) {
			struct peer_msg msg;

			memcpy(&msg, peer->in.data, sizeof(msg));
			if (peer->in.len < sizeof(msg) + msg.len)
				break;
			peer_heard(peer, &msg, peer->in.data + sizeof(msg), from_pid);
			buf_drop(&peer->in, sizeof(msg) + msg.len);
		}
	}
}
