// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena.h"
#include "peer_child.h"

static struct peer *peers;

static struct peer *peer_find(uint32_t id)
{
	for (struct peer *p = peers; p; p = p->next)
		if (p->id == id)
			return p;
	return NULL;
}

pid_t peer_pid(uint32_t id)
{
	struct peer *peer = peer_find(id);

	return peer ? peer->pid : 0;
}

static struct owed *owe(struct peer *peer, uint32_t request, uint16_t type)
{
	struct owed *owed = calloc(1, sizeof(*owed)), **at = &peer->owed;

	if (!owed)
		abort();
	owed->for_session = session;
	owed->request = request;
	owed->type = type;
	while (*at)
		at = &(*at)->next;
	*at = owed;
	return owed;
}

/* Takes the debt off the list; the caller frees it. */
static struct owed *settle(struct peer *peer, uint32_t request, uint16_t type)
{
	for (struct owed **at = &peer->owed; *at; at = &(*at)->next) {
		struct owed *owed = *at;

		if (owed->type != type || (type != REQ_SPAWN && owed->request != request))
			continue;
		*at = owed->next;
		return owed;
	}
	return NULL;
}

static void peer_free(struct peer *peer)
{
	struct peer **at = &peers;

	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	peer_close(peer);
	while (peer->nfds)
		close(peer->fds[--peer->nfds]);
	for (struct outgoing *o = peer->out, *next; o; o = next) {
		next = o->next;
		closep(&o->fd);
		free(o);
	}
	for (struct owed *o = peer->owed, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	slots_clear(peer->id);
	buf_free(&peer->in);
	buf_free(&peer->options);
	free(peer);
}

static void write_map(pid_t pid, const char *file, const uint8_t *text, size_t len, int *err)
{
	int fd _cleanup_close_ = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		*err = *err ? *err : errno;
}

/* The child sits in its new user namespace; only we may write its id maps. */
static void maps(struct peer *peer, pid_t pid)
{
	struct peer_msg msg = { .kind = PM_MAPPED };
	int err = 0;

	for (int pass = 0; pass < 3; pass++) {
		static const struct { uint32_t tag; const char *file; } order[] = {
			{ SP_SETGROUPS, "setgroups" }, { SP_UID_MAP, "uid_map" }, { SP_GID_MAP, "gid_map" },
		};
		struct reader r = reader_of(peer->options.data, peer->options.len);

		while (r.left && !r.bad) {
			uint32_t tag = read_u32(&r), len = read_u32(&r);
			const uint8_t *text = read_bytes(&r, len);

			if (text && tag == order[pass].tag)
				write_map(pid, order[pass].file, text, len, &err);
		}
	}
	msg.value = err;
	peer_say(peer, &msg, NULL, -1);
}

static void passed_on(struct peer *from, const struct peer_msg *msg)
{
	struct owed *owed = settle(from, msg->request, REQ_PASS_FD);
	struct peer *to = owed ? peer_find(owed->to_peer) : NULL;
	int fd = -1;

	if (from->nfds) {
		fd = from->fds[0];
		memmove(from->fds, from->fds + 1, --from->nfds * sizeof(int));
	}
	if (owed && (!to || fd < 0)) {
		reply_error(owed->for_session, owed->request, to ? EBADF : ESRCH,
			    "peer %u is not there to take the descriptor", owed->to_peer);
		closep(&fd);
	} else if (owed) {
		struct peer_msg take = {
			.kind = PM_TAKE, .request = owed->request, .arg = owed->arg, .value = owed->value,
		};

		owe(to, owed->request, REQ_PASS_FD)->for_session = owed->for_session;
		peer_say(to, &take, NULL, fd);
	} else {
		closep(&fd);
	}
	free(owed);
}

void peer_heard(struct peer *peer, const struct peer_msg *msg, const uint8_t *payload, pid_t from_pid)
{
	struct owed *owed = NULL;
	struct buf b = { 0 };

	switch (msg->kind) {
	case PM_WANT_MAPS:
		maps(peer, from_pid);
		return;
	case PM_GAVE:
		passed_on(peer, msg);
		return;
	case PM_READY:
		peer->ready = true;
		peer->pid = from_pid;
		peer->inner_pid = (uint32_t)msg->value;
		owed = settle(peer, 0, REQ_SPAWN);
		buf_u32(&b, (uint32_t)from_pid);
		buf_u32(&b, peer->inner_pid);
		break;
	case PM_FAILED:
		owed = settle(peer, 0, REQ_SPAWN);
		break;
	default: /* PM_RESULT, PM_ERROR */
		for (struct owed *o = peer->owed; o && !owed; o = o->next)
			if (o->type != REQ_SPAWN && o->request == msg->request)
				owed = settle(peer, o->request, o->type);
		if (owed && owed->type == REQ_PASS_FD)
			buf_u64(&b, (uint64_t)msg->value);
		else
			buf_put(&b, payload, msg->len);
	}
	if (owed && (msg->kind == PM_ERROR || msg->kind == PM_FAILED))
		reply_error(owed->for_session, owed->request, (int)msg->value, "%.*s",
			    (int)msg->len, (const char *)payload);
	else if (owed)
		reply_ok(owed->for_session, owed->request, &b);
	buf_free(&b);
	free(owed);
}

static void fail_owed(struct peer *peer, int err, const char *why)
{
	while (peer->owed) {
		struct owed *o = peer->owed;

		peer->owed = o->next;
		reply_error(o->for_session, o->request, err, "peer %u %s", peer->id, why);
		free(o);
	}
}

static void peer_event(struct source *source, uint32_t events)
{
	struct peer *peer = (struct peer *)source;

	if (events & EPOLLOUT)
		peer_push(peer);
	peer_drain(peer);
	if (peer->source.fd >= 0)
		return;
	/* closed: a peer that was never ready has no pid to wait for */
	if (!peer->ready) {
		fail_owed(peer, ECHILD, "ended before it was ready");
		peer_free(peer);
	}
}

void peers_drain(void)
{
	for (struct peer *p = peers; p; p = p->next)
		peer_drain(p);
}

bool peer_reaped(pid_t pid, int status)
{
	for (struct peer *p = peers; p; p = p->next) {
		struct buf b = { 0 };

		if (!p->ready || p->pid != pid)
			continue;
		fail_owed(p, ESRCH, "died");
		if (p->for_session == session) {
			buf_u32(&b, p->id);
			buf_u32(&b, (uint32_t)pid);
			buf_u32(&b, (uint32_t)status);
			link_send(EV_DEATH, 0, b.data, b.len);
			buf_free(&b);
		}
		peer_free(p);
		return true;
	}
	for (struct peer *p = peers, *next; p; p = next) {
		next = p->next;
		if (p->ready || p->source.fd >= 0)
			continue;
		fail_owed(p, ECHILD, "ended before it was ready");
		peer_free(p);
	}
	return false;
}

/* The former client's peers end; their deaths are nobody's news. */
void peers_reset(void)
{
	for (struct peer *p = peers, *next; p; p = next) {
		next = p->next;
		if (p->ready)
			kill(p->pid, SIGKILL);
		p->for_session = 0;
		p->id = 0; /* the number is free again at once */
		peer_close(p);
		if (!p->ready)
			peer_free(p);
	}
	memset(arena, 0, ARENA_SIZE);
}

/* u32 number of the new peer, u32 number of the peer to fork or 0, options. */
static void spawn(const struct frame *frame)
{
	struct reader r = reader_of(frame->payload, frame->len);
	uint32_t id = read_u32(&r), parent_id = read_u32(&r);
	struct peer *peer, *parent = parent_id ? peer_find(parent_id) : NULL;
	int pair[2], one = 1;
	pid_t pid;

	if (r.bad || !id || peer_find(id) || (parent_id && !parent)) {
		reply_error(session, frame->request, r.bad || !id ? EINVAL : parent_id && !parent ? ESRCH : EEXIST,
			    "peer %u cannot be made from peer %u", id, parent_id);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		reply_error(session, frame->request, errno, "socketpair: %s", strerror(errno));
		return;
	}
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		abort();
	peer->source = (struct source){ .fd = pair[0], .ready = peer_event };
	peer->id = id;
	peer->for_session = session;
	buf_put(&peer->options, r.at, r.left);
	peer->next = peers;
	peers = peer;
	owe(peer, frame->request, REQ_SPAWN);
	if (source_add(&peer->source, EPOLLIN) < 0)
		abort();
	if (parent) {
		struct peer_msg msg = { .kind = PM_FORK, .arg = id, .len = (uint32_t)r.left };

		peer_say(parent, &msg, r.at, pair[1]);
		return;
	}
	spawn_lookup = peer_pid;
	pid = fork();
	if (!pid)
		peer_begin(pair[1], id, r.at, r.left, false);
	close(pair[1]);
	if (pid < 0) {
		fail_owed(peer, errno, "cannot be forked");
		peer_free(peer);
	}
}

/* u32 peer, u32 thread (~0 = the process), u32 signal */
static void kill_request(const struct frame *frame, struct reader *r, struct peer *peer)
{
	uint32_t thread = read_u32(r), signo = read_u32(r);

	if (thread == UINT32_MAX) {
		if (kill(peer->pid, (int)signo) < 0)
			reply_error(session, frame->request, errno, "kill: %s", strerror(errno));
		else
			reply_ok(session, frame->request, NULL);
	} else {
		struct peer_msg msg = { .kind = PM_TKILL, .request = frame->request, .arg = thread, .value = signo };

		owe(peer, frame->request, frame->type);
		peer_say(peer, &msg, NULL, -1);
	}
}

/* u32 peer, u32 descriptor, u32 peer, s32 wanted number or -1, u32 close on exec */
static void pass_request(const struct frame *frame, struct reader *r, struct peer *peer)
{
	struct peer_msg msg = { .kind = PM_GIVE, .request = frame->request };
	struct owed *owed;

	msg.value = read_u32(r);
	owed = owe(peer, frame->request, REQ_PASS_FD);
	owed->to_peer = read_u32(r);
	owed->value = (int32_t)read_u32(r);
	owed->arg = read_u32(r);
	peer_say(peer, &msg, NULL, -1);
}

bool peer_request(const struct frame *frame)
{
	struct reader r = reader_of(frame->payload, frame->len);
	struct peer *peer;
	uint32_t id;

	if (frame->type == REQ_SPAWN) {
		spawn(frame);
		return true;
	}
	if (frame->type != REQ_KILL && frame->type != REQ_RUN && frame->type != REQ_PASS_FD &&
	    frame->type != REQ_STATE)
		return false;
	id = read_u32(&r);
	peer = id ? peer_find(id) : NULL;
	if (!peer || !peer->ready) {
		reply_error(session, frame->request, ESRCH, "peer %u does not exist", id);
	} else if (frame->type == REQ_KILL) {
		kill_request(frame, &r, peer);
	} else if (frame->type == REQ_STATE) {
		state_request(frame, peer);
	} else if (frame->type == REQ_PASS_FD) {
		pass_request(frame, &r, peer);
	} else {
		/* u32 peer, u32 thread, program */
		struct peer_msg msg = { .kind = PM_RUN, .request = frame->request, .arg = read_u32(&r) };

		msg.len = (uint32_t)r.left;
		owe(peer, frame->request, REQ_RUN);
		peer_say(peer, &msg, r.at, -1);
	}
	return true;
}
