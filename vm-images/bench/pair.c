// SPDX-License-Identifier: GPL-2.0
/* Pairs of processes: starting, driving, stopping. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a process of a pair is told; it answers with a report. */
struct order {
	uint32_t turns;
	uint32_t burst;
};

static void acknowledge(struct pair *p)
{
	must(p, write(p->ack[1], "", 1) == 1, "acknowledging a burst");
}

static void await_acknowledgement(struct pair *p)
{
	char byte;

	must(p, read(p->ack[0], &byte, 1) == 1, "waiting for the end of a burst");
}

static void work_as_server(struct pair *p, const struct order *order)
{
	const struct transport *t = p->transport;

	for (uint32_t turn = 0; turn < order->turns; turn++) {
		if (p->what == ROUND_TRIP) {
			t->serve(p);
			continue;
		}
		/* a multicast is drained when all of a burst was sent, so that sending is timed alone */
		if (p->what == MULTICAST)
			await_acknowledgement(p);
		for (uint32_t i = 0; i < order->burst; i++) {
			if (p->what == MULTICAST)
				t->drain(p);
			else
				t->take(p);
		}
		acknowledge(p);
	}
}

static void work_as_client(struct pair *p, const struct order *order, struct report *report)
{
	const struct transport *t = p->transport;
	uint64_t begin = now_ns(), part;

	for (uint32_t turn = 0; turn < order->turns; turn++) {
		if (p->what == ROUND_TRIP) {
			t->call(p);
			continue;
		}
		part = now_ns();
		for (uint32_t i = 0; i < order->burst; i++) {
			if (p->what == MULTICAST)
				t->signal(p);
			else
				t->post(p);
		}
		if (t->flush)
			t->flush(p);
		report->part_ns += now_ns() - part;
		if (p->what == MULTICAST)
			acknowledge(p);
		await_acknowledgement(p);
	}
	report->ns = now_ns() - begin;
}

static void child(struct pair *p, bool server, int wire) __attribute__((__noreturn__));
static void child(struct pair *p, bool server, int wire)
{
	struct report report = { 0 };
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the fork of a large buffer is not what is measured: this process has its own */
	p->data = malloc(INLINE_MAX);
	p->sink = malloc(INLINE_MAX);
	must(p, p->data && p->sink, "memory");
	memset(p->data, 'a', INLINE_MAX);
	memset(p->sink, 0, INLINE_MAX);
	if (p->what == MULTICAST) {
		/* two pipes in one pair of descriptors: a socket, so that each side has both directions */
		p->ack[0] = p->fds[server ? 0 : 1];
		p->ack[1] = p->ack[0];
	}

	if (server)
		p->transport->serve_open(p);
	else
		p->transport->call_open(p);
	if (write(wire, &report, sizeof(report)) != sizeof(report))
		_exit(1);

	while (read(wire, &order, sizeof(order)) == sizeof(order)) {
		memset(&report, 0, sizeof(report));
		if (server)
			work_as_server(p, &order);
		else
			work_as_client(p, &order, &report);
		if (write(wire, &report, sizeof(report)) != sizeof(report))
			break;
	}
	_exit(0);
}

/* The answer of a child, or false when it ended instead. */
static bool answered(const struct running *r, unsigned int which, struct report *report)
{
	return read(r->wires[which], report, sizeof(*report)) == sizeof(*report);
}

static bool spawn(struct running *r, unsigned int which)
{
	struct report report;
	int wires[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wires) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		child(r->pair, which == 0, wires[1]);
	close(wires[1]);
	r->wires[which] = wires[0];
	if (pid < 0)
		return false;
	r->pids[r->n_pids++] = pid;
	return answered(r, which, &report);
}

void pair_stop(struct running *r)
{
	struct pair *p = r->pair;

	for (unsigned int i = 0; i < 2; i++)
		if (r->wires[i] >= 0)
			close(r->wires[i]);
	for (unsigned int i = 0; i < r->n_pids && i < 2; i++) {
		kill(r->pids[i], SIGKILL);
		waitpid(r->pids[i], NULL, 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (p->ack[i] > 0)
			close(p->ack[i]);
		if (p->fds[i] > 0)
			close(p->fds[i]);
	}
	if (p->memfd > 0)
		close(p->memfd);
	munmap(p->board, sizeof(*p->board));
	free(p);
	free(r);
}

static int sealed_memfd(size_t bytes)
{
	int fd = memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* only its ends are looked at: what it costs to fill one is the same for all who pass it on */
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || pwrite(fd, "a", 1, 0) != 1 ||
	    pwrite(fd, "z", 1, (off_t)bytes - 1) != 1)
		return -1;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0 ? -1 : fd;
}

struct running *pair_start(const struct pair *wanted, char *why, size_t why_size)
{
	struct running *r = calloc(1, sizeof(*r));
	struct pair *p = malloc(sizeof(*p));
	bool ready = false;

	if (!r || !p)
		return NULL;
	*p = *wanted;
	r->pair = p;
	r->wires[0] = -1;
	r->wires[1] = -1;
	p->board = mmap(NULL, sizeof(*p->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p->memfd = pair_is_by_fd(p) ? sealed_memfd(p->bytes) : 0;
	if (p->what == MULTICAST)
		ready = !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->fds);
	else
		ready = !pipe(p->ack);
	if (ready && p->transport->prepare)
		ready = !p->transport->prepare(p);
	ready = ready && spawn(r, 0) && spawn(r, 1);
	if (ready && p->transport->daemon)
		r->pids[r->n_pids++] = daemon_pid(p->transport->daemon);
	if (ready)
		return r;

	snprintf(why, why_size, "%s", p->board->error[0] ? p->board->error : "it did not start");
	pair_stop(r);
	return NULL;
}

/* One order to both; the server first, so that it is there when the client begins. */
bool pair_drive(const struct running *r, uint32_t turns, uint32_t burst, struct report *report)
{
	struct order order = { .turns = turns, .burst = burst };
	struct report ignored;

	for (unsigned int i = 0; i < 2; i++)
		if (write(r->wires[i], &order, sizeof(order)) != sizeof(order))
			return false;
	return answered(r, 1, report) && answered(r, 0, &ignored);
}

static bool sleeps(pid_t pid)
{
	char path[32], line[256], *state = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (fgets(line, sizeof(line), file))
		state = strrchr(line, ')');
	fclose(file);
	return !state || state[2] != 'R';
}

/* Counters are read when nobody is half way into its next system call. */
void pair_settle(const struct running *r)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	unsigned int quiet = 0;

	while (quiet < 2 * r->n_pids) {
		if (sleeps(r->pids[quiet % r->n_pids])) {
			quiet++;
			continue;
		}
		quiet = 0;
		nanosleep(&moment, NULL);
	}
}
