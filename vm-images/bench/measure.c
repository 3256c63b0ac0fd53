// SPDX-License-Identifier: GPL-2.0
/* The passes over all transports, and telling what was seen. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of a burst that are on their way at once: all transports can hold that much. */
#define BURST_BYTES	1048576u
#define BURST_MESSAGES	16u

static const struct transport *const transports[] = {
	&kdbus_transport, &stream_transport, &seqpacket_transport, &mqueue_transport,
	&binder_transport, &dbus_daemon_transport, &dbus_broker_transport,
};

#define N_TRANSPORTS ARRAY_SIZE(transports)

static const char *const what_names[] = { "round trip", "one way", "multicast" };
static const size_t sizes[] = { 0, 64, 4096, 65536, 1 << 20, 64 << 20 };

static const char *name_of(const struct pair *p)
{
	return p->transport->name;
}

static void tell_head(const char *kind, const struct pair *p)
{
	printf("{\"figure\":\"%s\",\"transport\":\"%s\",\"what\":\"%s\",\"bytes\":%zu", kind, name_of(p),
	       what_names[p->what], p->bytes);
	if (p->what == MULTICAST)
		printf(",\"receivers\":%u,\"matching\":%u", p->receivers, p->matching);
}

static void tell_absent(const struct pair *p, const char *because)
{
	tell_head("absent", p);
	printf(",\"because\":\"%s\"}\n", because);
	fflush(stdout);
}

static uint32_t burst_of(const struct pair *p)
{
	if (p->what == ROUND_TRIP)
		return 1;
	if (!p->bytes || pair_is_by_fd(p))
		return BURST_MESSAGES;
	if (p->bytes >= BURST_BYTES)
		return 1;
	return p->bytes * BURST_MESSAGES > BURST_BYTES ? BURST_BYTES / (uint32_t)p->bytes : BURST_MESSAGES;
}

static uint32_t turns_of(const struct plan *plan, const struct pair *p)
{
	uint32_t turns = p->bytes > 65536 && !pair_is_by_fd(p) ? 4 : p->bytes > 4096 ? 20 : 60;

	if (!plan->steady)
		turns *= p->bytes > 65536 ? 4 : 8;
	return (turns + burst_of(p) - 1) / burst_of(p) + 1;
}

/* The same moment of a clock tick each time: where the tick falls is part of the figure. */
static void align(void)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	next.tv_sec += next.tv_nsec > 900000000 ? 2 : 1;
	next.tv_nsec = 0;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
}

static bool time_round(const struct plan *plan, const struct running *r, unsigned int round)
{
	uint32_t burst = burst_of(r->pair), turns = turns_of(plan, r->pair);
	struct report report;

	if (plan->steady)
		align();
	if (!pair_drive(r, turns, burst, &report))
		return false;
	tell_head("time", r->pair);
	printf(",\"round\":%u,\"messages\":%u,\"ns\":%llu,\"partNs\":%llu}\n", round, turns * burst,
	       (unsigned long long)report.ns, (unsigned long long)report.part_ns);
	fflush(stdout);
	return true;
}

static bool count(const struct running *r)
{
	const uint32_t burst = burst_of(r->pair), turns = 8;
	struct counts at[3];
	struct report report;
	struct watch *w = watch_open(r->pids, r->n_pids);

	if (!w) {
		fprintf(stderr, "counting: %s\n", count_error());
		return true;
	}
	pair_settle(r);
	watch_read(w, &at[0]);
	if (!pair_drive(r, turns, burst, &report))
		return false;
	pair_settle(r);
	watch_read(w, &at[1]);
	if (!pair_drive(r, 2 * turns, burst, &report))
		return false;
	pair_settle(r);
	watch_read(w, &at[2]);
	watch_close(w);
	tell_head("count", r->pair);
	printf(",\"messages\":%u,\"syscalls\":%lld,\"switches\":%lld}\n", turns * burst,
	       (long long)(at[2].syscalls - 2 * at[1].syscalls + at[0].syscalls),
	       (long long)(at[2].switches - 2 * at[1].switches + at[0].switches));
	fflush(stdout);
	return true;
}

static bool copies(const struct running *r)
{
	const uint32_t burst = burst_of(r->pair), turns = 2;
	int64_t sum[2];
	struct report report;

	if (copies_open(r->pids, r->n_pids) < 0) {
		fprintf(stderr, "copied bytes: %s\n", count_error());
		copies_close();
		return true;
	}
	for (unsigned int i = 0; i < 2; i++) {
		copies_start();
		if (!pair_drive(r, (i + 1) * turns, burst, &report))
			return false;
		pair_settle(r);
		sum[i] = copies_stop();
	}
	copies_close();
	if (sum[0] < 0 || sum[1] < 0) {
		fprintf(stderr, "copied bytes: %s\n", count_error());
		return true;
	}
	tell_head("copies", r->pair);
	printf(",\"messages\":%u,\"copied\":%lld}\n", turns * burst, (long long)(sum[1] - sum[0]));
	fflush(stdout);
	return true;
}

/* A process of it ended in the middle of its work. */
static void lost(struct running **r)
{
	const char *error = (*r)->pair->board->error;

	tell_absent((*r)->pair, error[0] ? error : "a process ended");
	pair_stop(*r);
	*r = NULL;
}

static bool chosen(const struct plan *plan, const struct transport *t)
{
	const char *at = plan->only;

	while (at) {
		size_t length = strcspn(at, ",");

		if (length == strlen(t->name) && !strncmp(at, t->name, length))
			return true;
		at = at[length] ? at + length + 1 : NULL;
	}
	return !plan->only;
}

/* All transports at once for one loop, so that rounds alternate between them. */
static void measure(const struct plan *plan, const struct pair *wanted)
{
	struct running *all[N_TRANSPORTS] = { NULL };
	struct report report;
	char why[240];

	for (size_t i = 0; i < N_TRANSPORTS; i++) {
		struct pair p = *wanted;

		p.transport = transports[i];
		if (!chosen(plan, p.transport))
			continue;
		if (p.what == MULTICAST && !p.transport->signal)
			continue;
		if (pair_is_by_fd(&p) && !p.transport->passes_fds) {
			tell_absent(&p, "it passes no descriptors");
			continue;
		}
		all[i] = pair_start(&p, why, sizeof(why));
		/* the first turns bring pages, code and tables */
		if (all[i] && !pair_drive(all[i], 8, burst_of(&p), &report))
			lost(&all[i]);
		else if (!all[i])
			tell_absent(&p, why);
	}
	for (unsigned int round = 0; round < plan->rounds; round++)
		for (size_t i = 0; i < N_TRANSPORTS; i++)
			if (all[i] && !time_round(plan, all[i], round))
				lost(&all[i]);
	for (size_t i = 0; i < N_TRANSPORTS; i++)
		if (all[i] && !(count(all[i]) && copies(all[i])))
			lost(&all[i]);
	for (size_t i = 0; i < N_TRANSPORTS; i++)
		if (all[i])
			pair_stop(all[i]);
}

/* @return 0; what could not be measured was told */
int measure_all(const struct plan *plan)
{
	static const unsigned int crowds[] = { 1, 10, 100 };
	struct pair wanted = { 0 };

	for (size_t i = 0; i < N_TRANSPORTS; i++)
		if (chosen(plan, transports[i]) && transports[i]->daemon && daemon_start(transports[i]->daemon) < 0)
			fprintf(stderr, "%s did not start\n", transports[i]->daemon);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		wanted = (struct pair){ .bytes = sizes[i] };
		for (wanted.what = ROUND_TRIP; wanted.what <= ONE_WAY; wanted.what++)
			measure(plan, &wanted);
	}
	for (size_t i = 0; i < ARRAY_SIZE(crowds); i++) {
		wanted = (struct pair){ .what = MULTICAST, .bytes = 64, .receivers = crowds[i], .matching = 1 };
		measure(plan, &wanted);
		wanted.matching = crowds[i];
		if (crowds[i] == 10)
			measure(plan, &wanted);
	}
	daemons_stop();
	printf("{\"figure\":\"end\"}\n");
	fflush(stdout);
	return 0;
}
