// SPDX-License-Identifier: GPL-2.0
/* Benchmark program of the guest: what it is asked for, and what all transports use. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Read by nobody; global, so that the compiler leaves the loads that lead to it. */
uint8_t sink_of_touch;

int check(struct pair *p, bool good, const char *what)
{
	if (good)
		return 0;
	snprintf(p->board->error, sizeof(p->board->error), "%s: %s", what, strerror(errno));
	return -1;
}

void fail(struct pair *p, const char *what)
{
	check(p, false, what);
	_exit(1);
}

void must(struct pair *p, bool good, const char *what)
{
	if (!good)
		fail(p, what);
}

void touch(const uint8_t *data, size_t bytes)
{
	uint8_t sum = 0;

	for (size_t at = 0; at < bytes; at += 4096)
		sum = (uint8_t)(sum + data[at]);
	if (bytes)
		sum = (uint8_t)(sum + data[bytes - 1]);
	sink_of_touch = sum;
}

void touch_fd(struct pair *p, int fd)
{
	uint8_t *map = mmap(NULL, p->bytes, PROT_READ, MAP_PRIVATE, fd, 0);

	must(p, map != MAP_FAILED, "mmap of a memfd");
	sink_of_touch = (uint8_t)(map[0] + map[p->bytes - 1]);
	munmap(map, p->bytes);
	close(fd);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int usage(const char *name)
{
	fprintf(stderr, "%s run|steady ROUNDS [TRANSPORT,...]\n", name);
	fprintf(stderr, "%s init MODULE ROUNDS [TRANSPORT,...]   (as process 1)\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	struct plan plan = { 0 };

	if (argc >= 2 && !strcmp(argv[1], "init"))
		return run_as_init(argc - 2, argv + 2);
	if (argc < 3 || argc > 4 || (strcmp(argv[1], "run") && strcmp(argv[1], "steady")))
		return usage(argv[0]);

	plan.steady = !strcmp(argv[1], "steady");
	plan.rounds = (unsigned int)strtoul(argv[2], NULL, 10);
	plan.only = argc == 4 ? argv[3] : NULL;
	if (!plan.rounds)
		return usage(argv[0]);
	return measure_all(&plan);
}
