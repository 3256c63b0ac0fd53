// SPDX-License-Identifier: GPL-2.0
/* AF_UNIX: a stream, on which a header tells where messages end, and seqpacket, which keeps them apart itself. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Enough for the largest burst, so that no sender waits for room. */
#define BUFFER_BYTES	(8 << 20)

struct header {
	uint64_t bytes;
	uint64_t cookie;
};

static int prepare(struct pair *p, int type)
{
	int size = BUFFER_BYTES;

	int ret = check(p, !socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, p->fds), "socketpair");

	for (int i = 0; i < 2 && !ret; i++)
		ret = check(p, !setsockopt(p->fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)),
			    "SO_SNDBUFFORCE");
	return ret;
}

void send_fd(struct pair *p, int sock, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {
		.head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS },
	};
	struct header header = { .bytes = p->bytes };
	struct iovec vec = { .iov_base = &header, .iov_len = sizeof(header) };
	struct msghdr msg = {
		.msg_iov = &vec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	must(p, sendmsg(sock, &msg, 0) == sizeof(header), "sendmsg of a descriptor");
}

int recv_fd(struct pair *p, int sock)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct header header;
	struct iovec vec = { .iov_base = &header, .iov_len = sizeof(header) };
	struct msghdr msg = {
		.msg_iov = &vec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	must(p, recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == sizeof(header), "recvmsg of a descriptor");
	must(p, msg.msg_controllen >= sizeof(struct cmsghdr), "a message without descriptor");
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

static void stream_put(struct pair *p, int sock)
{
	struct header header = { .bytes = p->bytes };
	struct iovec vecs[2] = { { &header, sizeof(header) }, { p->data, p->bytes } };
	struct msghdr msg = { .msg_iov = vecs, .msg_iovlen = 2 };

	if (pair_is_by_fd(p))
		send_fd(p, sock, p->memfd);
	else
		must(p, sendmsg(sock, &msg, 0) == (ssize_t)(sizeof(header) + p->bytes), "sendmsg");
}

/* The size is known here, so one call does; a program that does not know it needs two. */
static void stream_get(struct pair *p, int sock)
{
	struct header header;
	struct iovec vecs[2] = { { &header, sizeof(header) }, { p->sink, p->bytes } };
	struct msghdr msg = { .msg_iov = vecs, .msg_iovlen = 2 };

	if (pair_is_by_fd(p)) {
		touch_fd(p, recv_fd(p, sock));
		return;
	}
	must(p, recvmsg(sock, &msg, MSG_WAITALL) == (ssize_t)(sizeof(header) + p->bytes), "recvmsg");
	touch(p->sink, p->bytes);
}

static void packet_put(struct pair *p, int sock)
{
	if (pair_is_by_fd(p))
		send_fd(p, sock, p->memfd);
	else
		must(p, send(sock, p->data, p->bytes, 0) == (ssize_t)p->bytes, "send");
}

static void packet_get(struct pair *p, int sock)
{
	if (pair_is_by_fd(p)) {
		touch_fd(p, recv_fd(p, sock));
		return;
	}
	must(p, recv(sock, p->sink, p->bytes, 0) == (ssize_t)p->bytes, "recv");
	touch(p->sink, p->bytes);
}

static int stream_prepare(struct pair *p)
{
	return prepare(p, SOCK_STREAM);
}

static int packet_prepare(struct pair *p)
{
	return prepare(p, SOCK_SEQPACKET);
}

static void nothing_to_open(struct pair *p)
{
	(void)p;
}

static void stream_post(struct pair *p)
{
	stream_put(p, p->fds[1]);
}

static void stream_take(struct pair *p)
{
	stream_get(p, p->fds[0]);
}

static void stream_call(struct pair *p)
{
	stream_put(p, p->fds[1]);
	stream_get(p, p->fds[1]);
}

static void stream_serve(struct pair *p)
{
	stream_get(p, p->fds[0]);
	stream_put(p, p->fds[0]);
}

static void packet_post(struct pair *p)
{
	packet_put(p, p->fds[1]);
}

static void packet_take(struct pair *p)
{
	packet_get(p, p->fds[0]);
}

static void packet_call(struct pair *p)
{
	packet_put(p, p->fds[1]);
	packet_get(p, p->fds[1]);
}

static void packet_serve(struct pair *p)
{
	packet_get(p, p->fds[0]);
	packet_put(p, p->fds[0]);
}

const struct transport stream_transport = {
	.name = "AF_UNIX stream",
	.passes_fds = true,
	.prepare = stream_prepare,
	.serve_open = nothing_to_open,
	.call_open = nothing_to_open,
	.call = stream_call,
	.serve = stream_serve,
	.post = stream_post,
	.take = stream_take,
};

const struct transport seqpacket_transport = {
	.name = "AF_UNIX seqpacket",
	.passes_fds = true,
	.prepare = packet_prepare,
	.serve_open = nothing_to_open,
	.call_open = nothing_to_open,
	.call = packet_call,
	.serve = packet_serve,
	.post = packet_post,
	.take = packet_take,
};
