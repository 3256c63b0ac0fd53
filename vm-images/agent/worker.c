// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * DOC: workers
 *
 * A request that may block is done by a child that writes u32 errno and the
 * payload of the reply (or the reason) into a pipe and exits. The first field
 * of each such request is u32 milliseconds it may take; then the child is
 * killed and the request answered with ETIMEDOUT. A child that the kernel does
 * not let die is answered for with AGENT_HELD and the place where it sleeps.
 */
struct worker {
	struct source source;
	struct worker *next;
	pid_t pid;
	uint32_t for_session;
	uint32_t request;
	uint16_t type;
	uint64_t deadline_ns;
	bool killed;
	struct hold hold;
	struct buf reply;
};

static struct worker *workers;

static void worker_end(struct worker *worker)
{
	struct worker **at = &workers;

	while (*at != worker)
		at = &(*at)->next;
	*at = worker->next;
	source_remove(&worker->source);
	close(worker->source.fd);
	buf_free(&worker->reply);
	free(worker);
}

static void too_long(const struct worker *worker)
{
	reply_error(worker->for_session, worker->request, ETIMEDOUT,
		    "request type %u took longer than it may", worker->type);
}

static void finish(struct worker *worker)
{
	struct reader r = reader_of(worker->reply.data, worker->reply.len);
	uint32_t err = read_u32(&r);

	if (r.bad && worker->killed) {
		too_long(worker);
	} else if (r.bad) {
		reply_error(worker->for_session, worker->request, EPIPE,
			    "the worker of request type %u ended without an answer", worker->type);
	} else if (err) {
		reply_error(worker->for_session, worker->request, (int)err, "%.*s", (int)r.left,
			    (const char *)r.at);
	} else {
		struct buf body = { .data = worker->reply.data + 4, .len = worker->reply.len - 4 };

		reply_ok(worker->for_session, worker->request, &body);
	}
	worker_end(worker);
}

static void worker_ready(struct source *source, uint32_t events)
{
	struct worker *worker = (struct worker *)source;
	ssize_t n;

	(void)events;
	buf_reserve(&worker->reply, 65536);
	n = read(source->fd, worker->reply.data + worker->reply.len, 65536);
	if (n > 0)
		worker->reply.len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		finish(worker);
}

static void put_all(int fd, const struct buf *b)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			done += (size_t)n;
	}
}

__attribute__((__noreturn__))
static void work(uint16_t type, struct reader in, int out)
{
	struct buf reply = { 0 }, why = { 0 }, head = { 0 };
	int err;

	child_signals();
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setpgid(0, 0);
	err = worker_do(type, &in, &reply, &why);
	buf_u32(&head, (uint32_t)-err);
	put_all(out, &head);
	put_all(out, err ? &why : &reply);
	_exit(0);
}

int worker_do(uint16_t type, struct reader *in, struct buf *reply, struct buf *why)
{
	switch (type) {
	case REQ_EXEC:
		return op_exec(in, reply, why);
	case REQ_WRITE_FILE:
		return op_write_file(in, reply, why);
	case REQ_READ_FILE:
		return op_read_file(in, reply, why);
	case REQ_INSMOD:
		return op_insmod(in, reply, why);
	case REQ_RMMOD:
		return op_rmmod(in, reply, why);
	case REQ_MOUNT:
		return op_mount(in, reply, why);
	default:
		return op_umount(in, reply, why);
	}
}

bool worker_request(const struct frame *frame)
{
	struct reader in = reader_of(frame->payload, frame->len);
	uint32_t limit_ms;
	struct worker *worker;
	int pipes[2];
	pid_t pid;

	if (frame->type < REQ_EXEC || frame->type > REQ_UMOUNT)
		return false;
	limit_ms = read_u32(&in);
	if (in.bad || pipe2(pipes, O_CLOEXEC) < 0) {
		reply_error(session, frame->request, in.bad ? EINVAL : errno, "no worker: bad request or no pipe");
		return true;
	}
	pid = fork();
	if (pid < 0) {
		reply_error(session, frame->request, errno, "fork: %s", strerror(errno));
		close(pipes[0]);
		close(pipes[1]);
		return true;
	}
	if (!pid)
		work(frame->type, in, pipes[1]);
	close(pipes[1]);
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		abort();
	*worker = (struct worker){
		.source = { .fd = pipes[0], .ready = worker_ready },
		.next = workers, .pid = pid, .type = frame->type,
		.for_session = session, .request = frame->request,
		.deadline_ns = now_ns() + (uint64_t)limit_ms * 1000000u,
	};
	workers = worker;
	if (source_add(&worker->source, EPOLLIN) < 0)
		abort();
	return true;
}

/* The pipe tells the end; a reaped worker only must not be killed any more. */
void worker_reaped(pid_t pid, int status)
{
	(void)status;
	for (struct worker *w = workers; w; w = w->next)
		if (w->pid == pid)
			w->pid = 0;
}

int worker_timeout_ms(void)
{
	uint64_t now = now_ns(), first = UINT64_MAX;

	for (struct worker *w = workers; w; w = w->next)
		if (w->deadline_ns < first)
			first = w->deadline_ns;
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (int)((first - now) / 1000000) + 1;
}

/* The first deadline kills, the next ones look whether it helped. */
static void expire(struct worker *worker, uint64_t now)
{
	struct buf why = { 0 };

	if (!worker->pid) {
		too_long(worker);
		worker_end(worker);
		return;
	}
	if (!worker->killed) {
		worker->killed = true;
		kill(-worker->pid, SIGKILL);
		kill(worker->pid, SIGKILL);
	}
	if (!held(worker->pid, &worker->hold, &why)) {
		worker->deadline_ns = now + HELD_MS * 1000000ull;
		return;
	}
	reply_error(worker->for_session, worker->request, AGENT_HELD, "%.*s", (int)why.len,
		    (const char *)why.data);
	buf_free(&why);
	worker_end(worker);
}

void worker_expire(void)
{
	uint64_t now = workers ? now_ns() : 0;

	for (struct worker *w = workers, *next; w; w = next) {
		next = w->next;
		if (w->deadline_ns <= now)
			expire(w, now);
	}
}
