// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "peer_child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "peer_wire.h"

/*
 * DOC: inside a peer
 *
 * The main thread reads the control socket and runs the programs of thread 0
 * itself, so that a peer without other threads stays single-threaded and may
 * unshare(2) what it likes. Other threads are made on first use and run their
 * programs in order; what may block belongs there. Results are written by the
 * thread that has them, under tell_lock.
 *
 * Locks, outermost first: threads_lock, tell_lock.
 */
struct job {
	struct job *next;
	uint32_t request;
	size_t len;
	uint8_t *bytes;
};

/**
 * struct thread - one thread besides main
 * @number:	given by the client
 * @wake:	a job was added
 * @jobs:	to be run, oldest first; guarded by threads_lock like the list
 */
struct thread {
	struct thread *next;
	uint32_t number;
	pthread_cond_t wake;
	struct job *jobs;
};

uint32_t peer_id;
static int control = -1;
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t tell_lock = PTHREAD_MUTEX_INITIALIZER;
static struct thread *threads;

int peer_tell(int ctl, uint16_t kind, uint32_t request, int64_t value,
	      const void *payload, size_t len, int fd)
{
	struct peer_msg msg = {
		.len = (uint32_t)len, .kind = kind, .has_fd = fd >= 0, .request = request, .value = value,
	};
	char space[CMSG_SPACE(sizeof(int))] __attribute__((__aligned__(8))) = { 0 };
	size_t done = 0, total = sizeof(msg) + len;
	int result = 0;

	pthread_mutex_lock(&tell_lock);
	while (done < total) {
		size_t head = done < sizeof(msg) ? sizeof(msg) - done : 0;
		size_t body = done > sizeof(msg) ? done - sizeof(msg) : 0;
		struct iovec iov[2] = {
			{ (uint8_t *)&msg + sizeof(msg) - head, head },
			{ (uint8_t *)(uintptr_t)payload + body, len - body },
		};
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
		ssize_t n;

		if (fd >= 0 && !done) {
			struct cmsghdr *c;

			mh.msg_control = space;
			mh.msg_controllen = sizeof(space);
			c = CMSG_FIRSTHDR(&mh);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &fd, sizeof(int));
		}
		n = sendmsg(ctl, &mh, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			result = -errno;
			break;
		}
		done += (size_t)n;
	}
	pthread_mutex_unlock(&tell_lock);
	return result;
}

/* Reads one message; false at the end of the supervisor. */
bool peer_hear(int ctl, void *into, struct buf *payload, int *fd)
{
	struct peer_msg *msg = into;
	char space[CMSG_SPACE(sizeof(int))] __attribute__((__aligned__(8)));
	size_t done = 0;

	*fd = -1;
	payload->len = 0;
	while (done < sizeof(*msg) + (done < sizeof(*msg) ? 0 : msg->len)) {
		struct iovec iov = { (uint8_t *)msg + done, sizeof(*msg) - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
				     .msg_control = space, .msg_controllen = sizeof(space) };
		struct cmsghdr *c;
		ssize_t n;

		if (done >= sizeof(*msg)) {
			buf_reserve(payload, msg->len);
			iov.iov_base = payload->data + payload->len;
			iov.iov_len = msg->len - payload->len;
		}
		n = recvmsg(ctl, &mh, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		c = CMSG_FIRSTHDR(&mh);
		if (c && c->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(c), sizeof(int));
		if (done >= sizeof(*msg))
			payload->len += (size_t)n;
		done += (size_t)n;
	}
	return true;
}

static void fail(uint32_t request, int err, const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(err));
	peer_tell(control, PM_ERROR, request, err, text, strlen(text), -1);
}

static bool run_one(uint32_t request, uint8_t *bytes, size_t len, uint32_t number)
{
	struct buf result = { 0 };
	bool end_thread = false;

	program_run(bytes, len, number, &result, &end_thread);
	peer_tell(control, PM_RESULT, request, 0, result.data, result.len, -1);
	buf_free(&result);
	return end_thread;
}

static void *thread_main(void *arg)
{
	struct thread *self = arg, **at;
	struct slot *slot = slot_claim(peer_id, self->number);
	bool end = false;

	pthread_mutex_lock(&threads_lock);
	while (!end || self->jobs) {
		struct job *job = self->jobs;

		if (!job) {
			pthread_cond_wait(&self->wake, &threads_lock);
			continue;
		}
		self->jobs = job->next;
		pthread_mutex_unlock(&threads_lock);
		end = run_one(job->request, job->bytes, job->len, self->number);
		free(job->bytes);
		free(job);
		pthread_mutex_lock(&threads_lock);
	}
	for (at = &threads; *at != self; at = &(*at)->next)
		;
	*at = self->next;
	pthread_mutex_unlock(&threads_lock);
	slot_release(slot);
	pthread_cond_destroy(&self->wake);
	free(self);
	return NULL;
}

static struct thread *thread_new(uint32_t number)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	pthread_attr_t attr;
	pthread_t handle;
	int err;

	if (!thread)
		return NULL;
	thread->number = number;
	pthread_cond_init(&thread->wake, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	err = pthread_create(&handle, &attr, thread_main, thread);
	pthread_attr_destroy(&attr);
	if (err) {
		free(thread);
		errno = err;
		return NULL;
	}
	thread->next = threads;
	threads = thread;
	return thread;
}

static void run_on_thread(const struct peer_msg *msg, struct buf *payload)
{
	struct job *job = calloc(1, sizeof(*job)), **at;
	struct thread *thread;

	if (!job)
		abort();
	*job = (struct job){ .request = msg->request, .len = payload->len, .bytes = payload->data };
	*payload = (struct buf){ 0 };
	pthread_mutex_lock(&threads_lock);
	for (thread = threads; thread && thread->number != msg->arg; thread = thread->next)
		;
	if (!thread)
		thread = thread_new(msg->arg);
	if (thread) {
		for (at = &thread->jobs; *at; at = &(*at)->next)
			;
		*at = job;
		pthread_cond_signal(&thread->wake);
	}
	pthread_mutex_unlock(&threads_lock);
	if (!thread) {
		fail(msg->request, errno, "pthread_create");
		free(job->bytes);
		free(job);
	}
}

static void signal_thread(const struct peer_msg *msg)
{
	struct slot *slot = slot_find(peer_id, msg->arg);

	if (!slot)
		fail(msg->request, ESRCH, "no such thread");
	else if (syscall(SYS_tgkill, getpid(), slot->tid, (int)msg->value) < 0)
		fail(msg->request, errno, "tgkill");
	else
		peer_tell(control, PM_RESULT, msg->request, 0, NULL, 0, -1);
}

static void take_fd(const struct peer_msg *msg, int fd)
{
	int flags = msg->arg ? O_CLOEXEC : 0;
	int got = -1;

	if (fd < 0) {
		fail(msg->request, EBADF, "no descriptor arrived");
		return;
	}
	if (msg->value < 0) {
		got = fcntl(fd, F_SETFD, msg->arg ? FD_CLOEXEC : 0) < 0 ? -1 : fd;
	} else if (msg->value == fd) {
		got = fcntl(fd, F_SETFD, msg->arg ? FD_CLOEXEC : 0) < 0 ? -1 : fd;
	} else {
		got = dup3(fd, (int)msg->value, flags);
		close(fd);
	}
	if (got < 0)
		fail(msg->request, errno, "placing the descriptor");
	else
		peer_tell(control, PM_RESULT, msg->request, got, NULL, 0, -1);
}

static void give_fd(const struct peer_msg *msg)
{
	int fd = (int)msg->value;

	if (fcntl(fd, F_GETFD) < 0 || fd == control)
		fail(msg->request, EBADF, "the descriptor to hand over");
	else if (peer_tell(control, PM_GAVE, msg->request, 0, NULL, 0, fd) < 0)
		fail(msg->request, EIO, "handing over the descriptor");
}

/*
 * The child of a child, so that its parent is the supervisor, which then
 * learns how it ended. Only this thread lives on in it.
 */
static void fork_peer(const struct peer_msg *msg, const struct buf *payload, int fd)
{
	pid_t pid;

	pthread_mutex_lock(&threads_lock);
	pthread_mutex_lock(&tell_lock);
	pid = fork();
	pthread_mutex_unlock(&tell_lock);
	pthread_mutex_unlock(&threads_lock);
	if (!pid) {
		threads = NULL;
		close(control);
		peer_begin(fd, msg->arg, payload->data, payload->len, true);
	}
	close(fd);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

__attribute__((__noreturn__))
void peer_loop(int ctl)
{
	struct peer_msg msg;
	struct buf payload = { 0 };
	int fd;

	control = ctl;
	program_setup();
	slot_claim(peer_id, 0);
	if (peer_tell(ctl, PM_READY, 0, getpid(), NULL, 0, -1) < 0)
		_exit(1);
	while (peer_hear(ctl, &msg, &payload, &fd)) {
		switch (msg.kind) {
		case PM_RUN:
			if (msg.arg)
				run_on_thread(&msg, &payload);
			else
				run_one(msg.request, payload.data, payload.len, 0);
			break;
		case PM_TKILL:
			signal_thread(&msg);
			break;
		case PM_GIVE:
			give_fd(&msg);
			break;
		case PM_TAKE:
			take_fd(&msg, fd);
			break;
		case PM_FORK:
			fork_peer(&msg, &payload, fd);
			break;
		default:
			break;
		}
	}
	_exit(0); /* the supervisor is gone */
}
