/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fork of a process with all of its threads, between a launcher and the
 * machines it started.
 */
#ifndef BUSLAB_FORK_H
#define BUSLAB_FORK_H

#include <sys/types.h>

/* Where a machine hears its launcher; above what machines use themselves. */
#define ORDER_FD	201

#define MAX_FILES	64
#define MAX_AREAS	16

/* Places of a file that the machine itself has to look for. */
enum { AGENT_LISTENER = -1, MONITOR_CONNECTION = -2 };

/* What the fork has in other places than the machine it comes from. */
struct order {
	int n;
	/* descriptor that the file takes the place of */
	int place[MAX_FILES];
	/* the file; a number of this process */
	int file[MAX_FILES];
	/* memory in huge pages, which is copied at once */
	int n_areas;
	struct {
		char *start;
		size_t size;
		int protection;
	} area[MAX_AREAS];
	/* word of the command line that is written over, and the new one */
	char old_name[128];
	char name[128];
};

/* In a machine, before its main(): from now on it can be forked. */
void allow_forks(char *area, size_t area_size);

/*
 * In the launcher: forks the machine @pid that hears @control. The files stay
 * open here. Returns the process id of the fork, which is a child of the
 * launcher, or -1 with the reason in @why.
 */
pid_t order_fork(pid_t pid, int control, const struct order *order, char *why, size_t size);

#endif
