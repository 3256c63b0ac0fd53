/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fork of a process with all of its threads, between a launcher and the
 * machines it started.
 */
#ifndef BUSLAB_FORK_H
#define BUSLAB_FORK_H

#include <sys/types.h>

/* Above what machines use themselves: zeros that they map, and where they hear their launcher. */
#define ZEROS_FD	200
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

/* In the launcher: @file is the order's now, to be closed with its others; -1: there is none. */
int add_file(struct order *order, int place, int file);

/*
 * In the launcher: adds what a fork of the machine @pid has of its own beside
 * its input and its control. @words: STDOUT STDERR TMPDIR NAME AGENT MONITOR, as
 * in the launcher's command. 0, or -1 with the reason in @why.
 */
int fill_order(struct order *order, pid_t pid, char **words, char *why, size_t size);

/*
 * In the launcher: forks the machine @pid that hears @control. The files stay
 * open here. Returns the process id of the fork, which is a child of the
 * launcher, or -1 with the reason in @why.
 */
pid_t order_fork(pid_t pid, int control, const struct order *order, char *why, size_t size);

#endif
