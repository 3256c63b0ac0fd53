// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
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

static void close_socket(struct peer *peer)
{
	if (peer->source.fd < 0)
		return;
	source_remove(&peer->source);
	close(peer->source.fd);
	peer->source.fd = -1;
}

static void peer_free(struct peer *peer)
{
	struct peer **at = &peers;

	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	close_socket(peer);
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

/* Sends what the socket takes; false when the peer does not listen any more. */
static bool push(struct peer *peer)
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
static void say(struct peer *peer, const struct peer_msg *msg, const void *payload, int fd)
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
	push(peer);
}

static void write_map(pid_t pid, const char *file, const uint8_t *text, size_t len, int *err)
{
	char path[64];
	int fd _cleanup_close_ = -1;

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
	say(peer, &msg, NULL, -1);
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
		say(to, &take, NULL, fd);
	} else {
		closep(&fd);
	}
	free(owed);
}

static void heard(struct peer *peer, const struct peer_msg *msg, const uint8_t *payload, pid_t from_pid)
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

/* Reads what is there. Each recvmsg ends where the sender's descriptors or credentials change. */
static void drain(struct peer *peer)
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
			close_socket(peer);
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
			heard(peer, &msg, peer->in.data + sizeof(msg), from_pid);
			buf_drop(&peer->in, sizeof(msg) + msg.len);
		}
	}
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
		push(peer);
	drain(peer);
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
		drain(p);
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
		close_socket(p);
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

		say(parent, &msg, r.at, pair[1]);
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
		say(peer, &msg, NULL, -1);
	}
}

static long read_text(const char *format, int pid, const char *tid, char *text, size_t size)
{
	char path[128];
	ssize_t n;
	int fd _cleanup_close_ = -1;

	snprintf(path, sizeof(path), format, pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = 0;
	return (long)n;
}

/*
 * What the threads of a peer are doing. Reply, for each thread: u32 number
 * (~0 = not one of ours), u32 tid inside, u32 tid outside, u32 state letter,
 * u32 1 = runs a program, u32 step, u64 steps done, string /proc/.../syscall,
 * string wchan.
 */
static void state_request(const struct frame *frame, struct peer *peer)
{
	char path[64];
	struct buf b = { 0 };
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)peer->pid);
	dir = opendir(path);
	if (!dir) {
		reply_error(session, frame->request, errno, "opendir %s: %s", path, strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		struct slot *slot = NULL;
		char text[2048], *at;
		uint32_t inner = 0, state = '?';

		if (entry->d_name[0] == '.')
			continue;
		read_text("/proc/%d/task/%s/status", (int)peer->pid, entry->d_name, text, sizeof(text));
		at = strstr(text, "\nState:\t");
		if (at)
			state = (uint8_t)at[8];
		at = strstr(text, "\nNSpid:");
		if (at) {
			at += 7;
			at[strcspn(at, "\n")] = 0;
			inner = (uint32_t)atoi(strrchr(at, '\t') + 1);
		}
		for (uint32_t i = 0; i < ARENA_SLOTS && !slot; i++) {
			struct slot *s = (struct slot *)(void *)arena + i;

			if (s->peer == peer->id && s->tid == inner)
				slot = s;
		}
		buf_u32(&b, slot ? slot->thread : UINT32_MAX);
		buf_u32(&b, inner);
		buf_u32(&b, (uint32_t)atoi(entry->d_name));
		buf_u32(&b, state);
		buf_u32(&b, slot ? slot->running : 0);
		buf_u32(&b, slot ? slot->step : 0);
		buf_u64(&b, slot ? slot->executed : 0);
		read_text("/proc/%d/task/%s/syscall", (int)peer->pid, entry->d_name, text, sizeof(text));
		text[strcspn(text, "\n")] = 0;
		buf_str(&b, text);
		read_text("/proc/%d/task/%s/wchan", (int)peer->pid, entry->d_name, text, sizeof(text));
		buf_str(&b, text);
	}
	closedir(dir);
	reply_ok(session, frame->request, &b);
	buf_free(&b);
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
	say(peer, &msg, NULL, -1);
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
		say(peer, &msg, r.at, -1);
	}
	return true;
}
